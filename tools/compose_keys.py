"""Try each key of a compose file (tests/data/compose_keys.json) on tinybox, and write the table of docs/compose.md.

A project with the key is loaded, and one without it. The key has an effect if the two differ in anything that `up` acts
upon. LEFT_OUT has each key that has none, or is refused, with the reason. A guard compares the two, too.
"""

from __future__ import annotations

import json
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from tinybox.compose import project as projects
from tinybox.compose import resources
from tinybox.compose.reading.document import Field
from tinybox.errors import UsageError
from tools import compose_key_samples as samples

FACTS = samples.FACTS
EFFECT, NOTED, NOTHING, REFUSED, UNKNOWN = "effect", "noted", "nothing", "refused", "unknown"
NOT_YET = "not yet"

_SWARM = "for swarm: docker compose ignores it, and a note says so"
_WINDOWS = "docker has it for Windows only"
_STORE = "secrets and configs that are not in the file are in swarm's store"
_GPU = "a device of the host is given by `devices`"
_MODELS = "a service of docker's for language models"
_PROVIDER = "another program than compose runs the service"
_REAL_TIME = "needs real-time group scheduling, which distributions' kernels do not have"
_SILENT = "docker compose reads it without effect, too"
_FILE_OWNER = "a file of the host keeps its owner and mode, as in docker compose; a note says so"
_RIGHTS = "a build has no more rights than `run`"
LEFT_OUT: dict[str, tuple[str, str]] = {  # key, or key above: what happens, and why
    "version": (NOTED, "obsolete; docker compose warns, too"),
    "models": (REFUSED, _MODELS),
    "services.models": (REFUSED, _MODELS),
    "services.provider": (REFUSED, _PROVIDER),
    "services.gpus": (REFUSED, _GPU),
    "services.deploy.resources.reservations.devices": (REFUSED, _GPU),
    "services.credential_spec": (REFUSED, _WINDOWS),
    "services.cpu_count": (NOTED, _WINDOWS),
    "services.cpu_percent": (NOTED, _WINDOWS),
    "services.isolation": (REFUSED, _WINDOWS),
    "services.build.isolation": (REFUSED, _WINDOWS),
    "services.cpu_rt_period": (REFUSED, _REAL_TIME),
    "services.cpu_rt_runtime": (REFUSED, _REAL_TIME),
    "services.use_api_socket": (REFUSED, "gives the box the socket of a daemon, and there is none"),
    "services.runtime": (REFUSED, "tinybox is the runtime"),
    "services.storage_opt": (REFUSED, "the files of all boxes share the file system of the store"),
    "services.ports.name": (NOTHING, _SILENT),
    "services.ports.mode": (NOTHING, _SILENT),
    "services.ports.app_protocol": (NOTHING, _SILENT),
    "services.volumes.consistency": (NOTHING, _SILENT),
    "services.volumes.image": (REFUSED, NOT_YET + ": an image is mounted whole"),
    "services.volumes.bind.selinux": (NOTHING, "without SELinux docker ignores it, too"),
    "services.build.privileged": (REFUSED, _RIGHTS),
    "services.build.entitlements": (REFUSED, _RIGHTS),
    "services.build.cache_from": (NOTED, "the build cache is in the store; a note says so"),
    "services.build.cache_to": (REFUSED, "docker's own builder refuses it, too; the cache is in the store"),
    "services.build.ssh": (REFUSED, NOT_YET),
    "services.build.secrets.uid": (NOTHING, "a secret of a build is root's"),
    "services.build.secrets.gid": (NOTHING, "a secret of a build is root's"),
    "services.build.secrets.mode": (NOTHING, "a secret of a build is root's"),
    "networks.attachable": (NOTHING, "for swarm; every network of this machine is"),
    "networks.enable_ipv4": (REFUSED, "a network of tinybox always has IPv4"),
    "networks.ipam.driver": (REFUSED, "there is one, docker's default"),
    "networks.ipam.options": (NOTHING, _SILENT),
    "networks.driver": (REFUSED, "there is one for a single machine, bridge"),
    "volumes.driver": (REFUSED, "there is one for a single machine, local"),
    "secrets.driver": (REFUSED, _STORE),
    "secrets.driver_opts": (REFUSED, _STORE),
    "secrets.template_driver": (REFUSED, _STORE),
    "secrets.external": (REFUSED, _STORE),
    "configs.external": (REFUSED, _STORE),
    "configs.template_driver": (REFUSED, _STORE),
    "secrets.name": (NOTHING, "names it in swarm's store"),
    "configs.name": (NOTHING, "names it in swarm's store"),
    "secrets.labels": (NOTHING, "of swarm's store"),
    "configs.labels": (NOTHING, "of swarm's store"),
    **{
        f"services.deploy.{key}": (NOTED, _SWARM)
        for key in (
            "endpoint_mode labels mode placement rollback_config update_config resources.reservations.cpus "
            "resources.reservations.generic_resources"
        ).split()
    },
}


def _picture(folder: Path, document: dict[str, Any]) -> tuple[str, str, str]:
    """Return all that `up` acts upon, the notes, and the error of a project with the *document* as its file."""
    path = folder / "compose.yaml"
    path.write_text(json.dumps(document).replace("$", "$$"))
    try:
        project = projects.load([str(path)], "" if "name" in document else "shop")
    except UsageError as error:
        return "", "", str(error)
    notes = [*project.notes, *(note for service in project.services.values() for note in service.notes)]
    networks = {key: [network.external, resources.network_options(network, network.labels)]
                for key, network in project.networks.items()}  # fmt: skip
    volumes = [[each.name, each.external, each.labels, each.options] for each in project.volumes.values()]
    kept = [project.name, project.services, volumes, networks, [each.name for each in project.networks.values()]]
    return json.dumps(_plain(kept), sort_keys=True), "\n".join(notes), ""


def _plain(value: Any) -> Any:
    """Return an object as plain data, without its places in the file and without its notes."""
    if isinstance(value, Field):
        return value.plain()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if hasattr(value, "__dict__"):
        return {key: _plain(each) for key, each in vars(value).items() if key not in ("notes", "field", "place")}
    return str(value)


@cache
def outcomes() -> dict[str, tuple[str, str]]:
    """Return for each key what happens (an effect, a note, nothing, an error), and the note or error."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in samples.FILES.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        for key in FACTS["keys"]:
            with_it = _picture(folder, samples.document(key, is_there=True))
            without = _picture(folder, samples.document(key, is_there=False))
            found[key] = _outcome(with_it, without)
    for key in reversed(FACTS["keys"]):
        if found[key][0] == NOTHING and samples.value(key) in ([], {}):
            below = [found[other] for other in FACTS["keys"] if other.startswith(f"{key}.")]
            found[key] = max(below or [found[key]], key=_is_effect)
    return found


def _is_effect(outcome: tuple[str, str]) -> bool:
    return outcome[0] == EFFECT


def _outcome(with_it: tuple[str, str, str], without: tuple[str, str, str]) -> tuple[str, str]:
    if with_it[2]:
        return (UNKNOWN if "does not know" in with_it[2] else REFUSED), with_it[2]
    if with_it[0] != without[0]:
        return EFFECT, ""
    return (NOTED, with_it[1]) if with_it[1] != without[1] else (NOTHING, "")


def left_out(key: str) -> str:
    """Return the name in LEFT_OUT for *key* or a key above it; "": it must have an effect."""
    words = key.split(".")
    names = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((name for name in names if name in LEFT_OUT), "")


def wrong() -> list[str]:
    """Return a line for each key with another outcome than it should have, and for each in LEFT_OUT that is none."""
    lines = []
    for key, (outcome, says) in outcomes().items():
        name = left_out(key)
        wanted = LEFT_OUT[name][0] if name else EFFECT
        if outcome != wanted and not (name not in ("", key) and wanted == NOTED and outcome == NOTHING):
            lines.append(f"{key}: {outcome}, not {wanted}: {says}".rstrip(": "))
    return [*lines, *(f"{key}: is no key" for key in LEFT_OUT if key not in FACTS["keys"])]


def shares() -> dict[str, int]:
    """Return how many keys have an effect, of how many that make sense on one machine: these and those "not yet"."""
    there = sum(outcome == EFFECT for outcome, _ in outcomes().values())
    sensible = there + sum(LEFT_OUT[left_out(key)][1].startswith(NOT_YET) for key in FACTS["keys"] if left_out(key))
    whole = len(FACTS["keys"])
    return {"there": there, "sensible": sensible, "share": 100 * there // sensible, "all": whole}


_WORDS = {REFUSED: "an error with its line", NOTED: "a note", NOTHING: "nothing", UNKNOWN: "an error with its line"}


def table() -> str:
    """Return the made part of docs/compose.md: how many keys have an effect, and those that have none."""
    text = (
        f"The specification has {{all}} keys ({FACTS['source']}). {{there}} have an effect, of the {{sensible}} that "
        "make sense on one machine without a daemon: {share} %. The others:"
    )
    rows: dict[tuple[str, str], list[str]] = {}
    for key, (outcome, reason) in LEFT_OUT.items():
        rows.setdefault((reason, outcome), []).append(f"`{key}`")
    lines = [*textwrap.wrap(text.format(**shares()), 120), "", "| keys | they give | why |", "|---|---|---|"]
    lines += [f"| {', '.join(sorted(keys))} | {_WORDS[outcome]} | {reason} |"
              for (reason, outcome), keys in sorted(rows.items())]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    print("\n".join(wrong()) or table())
