"""commit --change: apply Dockerfile instructions (CMD, ENV, EXPOSE ...) to an image's config; see docker-commit(1)."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tinybox.container.config import signal_option
from tinybox.errors import UsageError
from tinybox.linux import quick_json as json
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


def _env(config: Config, text: str) -> None:
    variables = dict(line.partition("=")[::2] for line in config.get("Env") or []) | dict(_pairs(text))
    config["Env"] = [f"{name}={value}" for name, value in variables.items()]


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(text))}


def _expose(config: Config, text: str) -> None:
    ports: dict[str, Config] = {}
    for word in text.split():
        number, _, protocol = word.partition("/")
        if not is_whole(number) or not 0 < int(number) < 1 << 16:
            raise ValueError(f"{word} is no port: write 80 or 53/udp")
        ports[f"{number}/{protocol or 'tcp'}"] = {}
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **ports}


def _volume(config: Config, text: str) -> None:
    paths = _list(text) or text.split()
    if not all(path.startswith("/") for path in paths):
        raise ValueError("a volume's path must be absolute")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in paths}}


def _workdir(config: Config, text: str) -> None:
    if not text.startswith("/"):
        text = f"{(config.get('WorkingDir') or '').rstrip('/')}/{text}"
    config["WorkingDir"] = text


def _user(config: Config, text: str) -> None:
    config["User"] = text


def _stop_signal(config: Config, text: str) -> None:
    signal_option.signal_number("change STOPSIGNAL", text)
    config["StopSignal"] = text


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
