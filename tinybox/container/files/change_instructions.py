"""commit --change: apply Dockerfile instructions (CMD, ENV, EXPOSE ...) to an image's config; see docker-commit(1).

The functions without an underscore change a config by values that are parsed already; `build` uses them, too.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from tinybox.errors import UsageError
from tinybox.linux import quick_json as json
from tinybox.linux.signals.names import signal_named
from tinybox.text_values import is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Config = dict[str, Any]


def changed(config: Config, instructions: Sequence[str]) -> Config:
    """Return *config*, with OCI's keys, as the *instructions* change it; UsageError names an invalid instruction.

    ENTRYPOINT removes the former command: that belonged to the former entrypoint as its arguments.
    """
    fresh: Config = json.loads(json.dumps(config))
    if any(line.split()[:1] and line.split()[0].upper() == "ENTRYPOINT" for line in instructions):
        fresh.pop("Cmd", None)
    for line in instructions:
        name, _, rest = line.strip().partition(" ")
        change = _INSTRUCTIONS.get(name.upper())
        if change is None:
            raise UsageError(f"--change {line!r}", "is no instruction for an image", ", ".join(_INSTRUCTIONS))
        if not rest.strip():
            raise UsageError(f"--change {line!r}", "has no value after its name")
        try:
            change(fresh, rest.strip())
        except ValueError as error:
            raise UsageError(f"--change {line!r}", str(error)) from error
    return fresh


def _list(text: str) -> list[str] | None:
    """Return ``["a", "b"]`` as a list; None if it is not one."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) and all(isinstance(word, str) for word in value) else None


def _command(key: str) -> Callable[[Config, str], None]:
    def change(config: Config, text: str) -> None:
        found = _list(text)
        config[key] = ["/bin/sh", "-c", text] if found is None else found

    return change


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of ``KEY=VALUE KEY="a value"``, or of the old form ``KEY a value``."""
    parts = shlex.split(text)
    if "=" not in parts[0]:
        key, blank, value = text.partition(" ")
        if not blank:
            raise ValueError("has no = between a name and its value")
        return [(key, value.strip())]
    if not all("=" in part[1:] for part in parts):
        raise ValueError("has no = between a name and its value")
    return [(key, value) for key, _, value in (part.partition("=") for part in parts)]


def variables(config: Config) -> dict[str, str]:
    """Return the environment of *config* as a dictionary."""
    return dict(line.partition("=")[::2] for line in config.get("Env") or [])


def add_variables(config: Config, pairs: Sequence[tuple[str, str]]) -> None:
    """Set variables of the environment."""
    config["Env"] = [f"{name}={value}" for name, value in (variables(config) | dict(pairs)).items()]


def add_labels(config: Config, pairs: Sequence[tuple[str, str]]) -> None:
    """Set labels."""
    config["Labels"] = {**(config.get("Labels") or {}), **dict(pairs)}


def expose(config: Config, words: Sequence[str]) -> None:
    """Add exposed ports, ``80``, ``53/udp`` or ``8000-8010``; ValueError: it is no port."""
    ports: dict[str, Config] = {}
    for word in words:
        numbers, _, protocol = word.partition("/")
        first, is_range, last = numbers.partition("-")
        ends = [first, last if is_range else first]
        if not all(is_whole(end) and 0 < int(end) < 1 << 16 for end in ends) or int(ends[0]) > int(ends[1]):
            raise ValueError(f"{word} is no port: write 80 or 53/udp")
        for number in range(int(ends[0]), int(ends[1]) + 1):
            ports[f"{number}/{(protocol or 'tcp').lower()}"] = {}
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **ports}


def add_volumes(config: Config, paths: Sequence[str]) -> None:
    """Declare volumes; ValueError: a path is empty or not absolute."""
    if not all(path.startswith("/") for path in paths):
        raise ValueError("a volume's path must be absolute")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in paths}}


def set_directory(config: Config, path: str) -> None:
    """Set the working directory; a relative *path* begins at the former one."""
    config["WorkingDir"] = os.path.normpath(os.path.join("/", config.get("WorkingDir") or "", path)).replace("//", "/")


def set_user(config: Config, text: str) -> None:
    """Set the user of the program."""
    config["User"] = text


def set_stop_signal(config: Config, text: str) -> None:
    """Set the signal that `stop` sends; ValueError: there is no such signal."""
    if not signal_named(text):
        raise ValueError(f"{text} is not a signal: kill -l lists them")
    config["StopSignal"] = text


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": lambda config, text: add_variables(config, _pairs(text)),
    "EXPOSE": lambda config, text: expose(config, text.split()),
    "LABEL": lambda config, text: add_labels(config, _pairs(text)),
    "STOPSIGNAL": set_stop_signal,
    "USER": set_user,
    "VOLUME": lambda config, text: add_volumes(config, _list(text) or text.split()),
    "WORKDIR": set_directory,
}
