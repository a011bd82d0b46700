"""inspect: everything about one container or image with docker's keys, from state.json, config.json and the kernel.

A value that is neither recorded nor known to the kernel is left out, or null: for instance the exit status of a
container whose owner was killed.
"""

from __future__ import annotations

import json
import os

from tinybox.container.records import spec
from tinybox.container.views import host_config, network_inspection
from tinybox.container.views.units import stamp
from tinybox.errors import StateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.spec import Spec
    from tinybox.container.views.listing import Listed
    from tinybox.images.store import Image

    JsonObject = dict[str, Any]


def container(listed: Listed) -> JsonObject:
    """Return everything about a container; the key `Spec` has its config.json unchanged."""
    try:
        config = spec.load(listed.paths.bundle(listed.id))
    except UsageError as error:
        if os.path.exists(os.path.join(listed.paths.bundle(listed.id), "config.json")):
            raise
        raise StateError(f"container {listed.name or listed.id[:12]}", "has just been removed") from error
    path, *arguments = listed.state.get("command") or config["process"]["args"]
    bundle = listed.paths.bundle(listed.id)
    return {
        "Id": listed.id,
        "Created": stamp(listed.state.get("createdAt")),
        "Path": path,
        "Args": arguments,
        "State": _state(listed),
        "Image": f"sha256:{listed.image_id}",
        "LogPath": _if_there(os.path.join(bundle, "container.log")),
        "ResolvConfPath": _source_of(bundle, config, "/etc/resolv.conf"),
        "HostnamePath": _source_of(bundle, config, "/etc/hostname"),
        "HostsPath": _source_of(bundle, config, "/etc/hosts"),
        "Name": f"/{listed.name}",
        "RestartCount": listed.state.get("restarts", 0),
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": host_config.as_dict(config),
        "GraphDriver": _files(listed, config),
        "Mounts": listed.mounts(),
        "Config": _config(listed, config),
        "NetworkSettings": network_inspection.of_container(listed),
        "Bundle": bundle,
        "Spec": config,
    }


def _state(listed: Listed) -> JsonObject:
    now, word = listed.state, listed.word
    return {
        "Status": word,
        "Running": word in ("running", "paused", "restarting"),
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": now.get("oomKilled", False),
        "Dead": False,
        "Pid": now.get("pid", 0) if listed.has_process else 0,
        "ExitCode": 0 if listed.is_alive else now.get("exitCode", 0),
        "Error": now.get("error", ""),
        "StartedAt": stamp(now.get("startedAt")),
        "FinishedAt": stamp(now.get("finishedAt")),
        "Health": now.get("health"),
    }


def _config(listed: Listed, config: Spec) -> JsonObject:
    process, annotations = config["process"], listed.annotations
    user = process.get("user", {})
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    first = int(annotations.get(spec.ENTRYPOINT, 0))
    return {
        "Hostname": config.get("hostname", ""),
        "Domainname": config.get("domainname", ""),
        "User": f"{uid}:{gid}" if uid or gid else "",
        "Tty": bool(process.get("terminal")),
        "OpenStdin": spec.INTERACTIVE in annotations,
        "Env": process.get("env", []),
        "Cmd": process["args"][first:] or None,
        "Image": listed.image,
        "WorkingDir": process["cwd"],
        "Entrypoint": process["args"][:first] or None,
        "ExposedPorts": {port: {} for port in json.loads(annotations.get(spec.EXPOSED) or "[]")},
        "Labels": listed.labels,
        "StopSignal": annotations.get(spec.STOP_SIGNAL, "SIGTERM"),
        "StopTimeout": int(annotations[spec.STOP_TIMEOUT]) if spec.STOP_TIMEOUT in annotations else None,
        "Healthcheck": json.loads(annotations[spec.HEALTH]) if spec.HEALTH in annotations else None,
    }


def _files(listed: Listed, config: Spec) -> JsonObject:
    """Return the directories of the container's files: the image's layers, the topmost first, and its own ones."""
    bundle = listed.paths.bundle(listed.id)
    layers = config.get("annotations", {}).get(spec.LAYERS, "").split(":")
    data = {
        "LowerDir": ":".join(reversed(layers)),
        "MergedDir": os.path.join(bundle, config["root"]["path"]),
        "UpperDir": os.path.join(bundle, "upper"),
        "WorkDir": os.path.join(bundle, "work"),
    }
    return {"Name": "overlay", "Data": data}


def _source_of(bundle: str, config: Spec, place: str) -> str:
    """Return the host's file that is mounted at *place*, or an empty string; relative sources are in the *bundle*."""
    mounts = config.get("mounts", [])
    source = next((entry.get("source", "") for entry in mounts if entry["destination"] == place), "")
    return os.path.join(bundle, source) if source else ""


def _if_there(path: str) -> str:
    return path if os.path.exists(path) else ""


def image(found: Image) -> JsonObject:
    """Return everything about an image, with docker's keys."""
    return {
        "Id": f"sha256:{found.id}",
        "RepoTags": [found.reference] if found.reference else [],
        "Created": found.created,
        "Architecture": found.architecture,
        "Os": "linux",
        "Size": found.size,
        "Config": found.config,
        "GraphDriver": {"Name": "overlay", "Data": {"LowerDir": ":".join(reversed(found.layers))}},
        "RootFS": {"Type": "layers", "Layers": found.diff_ids},
    }
