"""The state of a stage: the OCI image config as far as it is made, and the variables that its instructions see.

No image exists until the last instruction of the target is done.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tinybox.container.files import change_instructions
from tinybox.images.store import layer_key, this_architecture
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from typing import Any

    from tinybox.images.registry.manifests import Platform

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # docker's, if the base has none
SHELL = ("/bin/sh", "-c")
NO_HISTORY = "a layer of an image without a history"  # other programs want an entry for each layer
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def time_text(seconds: int) -> str:
    """Return the time *seconds* since 1970 in the format of RFC 3339."""
    return time.strftime(_FORMAT, time.gmtime(seconds))


class State:
    """What the instructions so far come to: *document*, an OCI image config, and *arguments*, the ARGs in scope.

    *created* is the time of the newest layer. An instruction that makes no layer has this time in the history, so that
    a build all of whose layers are in the cache gives the same image again.
    """

    def __init__(self, document: dict[str, Any], created: str) -> None:
        self.document, self.created = document, created
        self.arguments: dict[str, str] = {}
        self.is_command_set = False  # by this stage: then ENTRYPOINT keeps it

    @property
    def config(self) -> dict[str, Any]:
        """Return the part of the document that containers use: Env, Cmd, User ..."""
        found: dict[str, Any] = self.document["config"]
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment that ENV has set."""
        return change_instructions.variables(self.config)

    @property
    def values(self) -> dict[str, str]:
        """Return the variables that instructions see: ARG, and ENV, which overrides ARG."""
        return {**self.arguments, **self.variables}

    @property
    def shell(self) -> list[str]:
        """Return the program, with its arguments, that gets the text of a shell form."""
        return [*(self.config.get("Shell") or SHELL)]

    @property
    def diff_ids(self) -> list[str]:
        """Return the diff ids of the layers, the bottom one first."""
        found: list[str] = self.document["rootfs"]["diff_ids"]
        return found

    def layers(self, root: str) -> list[str]:
        """Return the directories of the layers in the store *root*, the bottom one first."""
        return [f"{root}/layers/{layer_key(diff_id)}/fs" for diff_id in self.diff_ids]

    def record(self, created_by: str, diff_id: str = "", created: str = "") -> None:
        """Add an instruction to the history, and the layer that it has made, if any, at the time *created*."""
        self.created = self.document["created"] = created or self.created
        step: dict[str, Any] = {"created": self.created, "created_by": created_by}
        if diff_id:
            self.diff_ids.append(diff_id)
        else:
            step["empty_layer"] = True
        self.document["history"].append(step)


def empty(platform: Platform, now: str) -> State:
    """Return the state after FROM scratch."""
    document: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    document |= {"config": {"Env": [PATH]}, "created": now}
    if platform.variant:
        document["variant"] = platform.variant
    document |= {"rootfs": {"type": "layers", "diff_ids": []}, "history": []}
    return State(document, now)


def of_base(record: dict[str, Any], now: str) -> State:
    """Return the state after FROM an image or a stage whose config document is *record*."""
    document: dict[str, Any] = quick_json.loads(quick_json.dumps(record))
    config: dict[str, Any] = {key: value for key, value in (document.get("config") or {}).items() if value is not None}
    if not any(line.startswith("PATH=") for line in config.get("Env") or []):
        config["Env"] = [PATH, *(config.get("Env") or [])]
    document["config"] = config
    document.setdefault("architecture", this_architecture())
    document["created"] = created = document.get("created") or now
    history = list(document.get("history") or [])
    missing = len(document["rootfs"]["diff_ids"]) - sum(not step.get("empty_layer") for step in history)
    document["history"] = [{"created": created, "comment": NO_HISTORY}] * missing + history
    return State(document, created)
