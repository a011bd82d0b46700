"""inspect: everything about one container or image with docker's keys, from state.json, config.json and the kernel.

Each value has the type that docker's clients expect: a time is text in the format of RFC 3339, and docker's zero time
if nothing has happened yet. The exit status of a container whose owner was killed is unknown; docker's word for that is
255, and `Error` says it.
"""

from __future__ import annotations

import json
import os

from tinybox.container.records import spec
from tinybox.container.views import host_config, network_inspection
from tinybox.container.views.units import SECOND, rfc3339, stamp
from tinybox.container.views.when_set import WhenSet
from tinybox.errors import StateError, UsageError
from tinybox.linux.filesystem import overlay_marks, overlay_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.spec_types import Spec
    from tinybox.container.views.listing import Listed
    from tinybox.images.store import Image, Store

    JsonObject = dict[str, Any]

LOST = 255  # docker's exit status for a container whose end no process has seen
SHELL = ("/bin/sh", "-c")  # the beginning of a health check that is a text for the shell
_OF_IMAGE: JsonObject = {
    **dict.fromkeys(("User", "WorkingDir", "StopSignal"), ""),
    **dict.fromkeys("ExposedPorts Env Entrypoint Cmd Volumes OnBuild Labels Healthcheck Shell".split()),
}


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
        "Driver": _driver(config),
        "Platform": "linux",
        "MountLabel": config.get("linux", {}).get("mountLabel", ""),
        "ProcessLabel": config["process"].get("selinuxLabel", ""),
        "AppArmorProfile": config["process"].get("apparmorProfile", ""),
        "ExecIDs": None,
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
    code = 0 if listed.is_alive else now.get("exitCode", 0)
    known = {
        "Status": word,
        "Running": word in ("running", "paused", "restarting"),
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": now.get("oomKilled", False),
        "Dead": False,
        "Pid": now.get("pid", 0) if listed.has_process else 0,
        "ExitCode": LOST if code is None else code,
        "Error": now.get("error") or ("its owner was killed, so its exit status is unknown" if code is None else ""),
        "StartedAt": stamp(now.get("startedAt")),
        "FinishedAt": stamp(now.get("finishedAt")),
    }
    return WhenSet({**known, "Health": _health(now.get("health"))}, {"Health": None})


def _health(record: JsonObject | None) -> JsonObject | None:
    """Return the *record* of health checks with docker's times; state.json has nanoseconds since 1970."""
    if not record:
        return None
    rows = [{**row, "Start": stamp(row["Start"]), "End": stamp(row["End"])} for row in record.get("Log", [])]
    return {**record, "Log": rows}


def _check(annotations: dict[str, str]) -> JsonObject | None:
    """Return the settings of the health check with docker's keys, in nanoseconds, or None if there is no check."""
    known = json.loads(annotations.get(spec.HEALTH) or "null")
    if known is None:
        return None
    times = {
        "Interval": "interval",
        "Timeout": "timeout",
        "StartPeriod": "startPeriod",
        "StartInterval": "startInterval",
    }
    test = known["test"]
    is_text = len(test) == len(SHELL) + 1 and tuple(test[:-1]) == SHELL
    return {
        "Test": ["CMD-SHELL", test[-1]] if is_text else ["CMD", *test],
        **{name: round(known.get(key, 0) * SECOND) for name, key in times.items()},
        "Retries": known["retries"],
    }


def _config(listed: Listed, config: Spec) -> JsonObject:
    process, annotations = config["process"], listed.annotations
    asked = json.loads(annotations.get(spec.ASKED) or "{}")
    first = int(annotations.get(spec.ENTRYPOINT, 0))
    published = asked.get("HostConfig", {}).get("PortBindings", {})
    opened = {*json.loads(annotations.get(spec.EXPOSED) or "[]"), *published}
    known = {
        "Hostname": config.get("hostname", ""),
        "Domainname": config.get("domainname", ""),
        "User": asked.get("User", ""),
        **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), False),
        "Tty": bool(process.get("terminal")),
        "OpenStdin": spec.INTERACTIVE in annotations,
        "StdinOnce": spec.STDIN_ONCE in annotations,
        "Env": [line for line in process.get("env", []) if _is_asked(line, asked)],
        "Cmd": process["args"][first:] or None,
        "Image": listed.image,
        "Volumes": {place: {} for place in asked.get("Volumes", [])} or None,
        "OnBuild": None,
        "WorkingDir": asked.get("WorkingDir", ""),
        "Entrypoint": process["args"][:first] or None,
        "Labels": listed.labels,
        "StopSignal": asked.get("StopSignal", ""),
    }
    timeout = {"StopTimeout": int(annotations[spec.STOP_TIMEOUT])} if spec.STOP_TIMEOUT in annotations else {}
    known |= {**timeout, "ExposedPorts": {port: {} for port in sorted(opened)}, "Healthcheck": _check(annotations)}
    return WhenSet(known, dict.fromkeys(("ExposedPorts", "StopTimeout", "Healthcheck")) | {"StopSignal": ""})


def _is_asked(line: str, asked: JsonObject) -> bool:
    """Return whether a user or the image has set the variable of *line*; docker does not show the others."""
    name = line.partition("=")[0]
    return name not in spec.GIVEN or name in asked.get("Env", ())


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
    return {"Name": _driver(config), "Data": data}


def _driver(config: Spec) -> str:
    """Return what has made the container's root: the kernel's overlay, fuse-overlayfs, or copied layers."""
    if spec.COPIED in config.get("annotations", {}):
        return overlay_refusal.COPIES
    return overlay_refusal.PROGRAM if overlay_marks.refused else "overlay"


def _source_of(bundle: str, config: Spec, place: str) -> str:
    """Return the host's file that is mounted at *place*, or an empty string; relative sources are in the *bundle*."""
    mounts = config.get("mounts", [])
    source = next((entry.get("source", "") for entry in mounts if entry["destination"] == place), "")
    return os.path.join(bundle, source) if source else ""


def _if_there(path: str) -> str:
    return path if os.path.exists(path) else ""


def _named_at(store: Store, image_id: str) -> int:
    """Return when the image got its newest name, in ns since 1970; 0 if it has none. See st_mtime in stat(3type)."""
    links = [f"{store.root}/names/{name.replace('/', '%')}" for name, owner in store.names() if owner == image_id]
    try:
        return max(os.lstat(link).st_mtime_ns for link in links) if links else 0
    except FileNotFoundError:  # a name has just been removed
        return 0


def image(store: Store, found: Image) -> JsonObject:
    """Return everything about an image, with docker's keys."""
    document = store.record(found.id)
    steps = document.get("history") or [{}]
    return {
        "Id": f"sha256:{found.id}",
        "RepoTags": [name for name, owner in store.names() if owner == found.id and "@" not in name],
        "RepoDigests": store.digests().get(found.id, []),
        "Parent": "",
        "Comment": steps[-1].get("comment") or "",
        "Created": rfc3339(found.created),
        "DockerVersion": "",
        "Author": document.get("author") or "",
        "Architecture": found.architecture,
        **({"Variant": document["variant"]} if document.get("variant") else {}),
        "Os": document.get("os") or "linux",
        "Size": found.size,
        "Config": WhenSet(found.config, _OF_IMAGE),
        "GraphDriver": {"Name": overlay_refusal.driver(), "Data": {"LowerDir": ":".join(reversed(found.layers))}},
        "RootFS": {"Type": "layers", "Layers": found.diff_ids},
        "Metadata": {"LastTagTime": stamp(_named_at(store, found.id))},
    }
