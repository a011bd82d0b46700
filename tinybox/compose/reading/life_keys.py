"""The keys of a service about its life: healthcheck, init, ulimits, logging, how it stops, and hooks."""

from __future__ import annotations

import math

from tinybox.compose.reading.service import Hook
from tinybox.container.config import life
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext


def healthcheck(service: Service, field: Field, _: ServiceContext) -> None:
    """Read how the box is checked; with ``disable`` or ``["NONE"]`` not even as its image says."""
    parts = field.mapping(("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"))
    test = parts.get("test")
    kind = test.texts()[0] if test and isinstance(test.content, list) and test.content else ""
    if kind == "NONE" or ("disable" in parts and parts["disable"].flag()):
        service.options["no_healthcheck"] = True
        return
    if test is not None and isinstance(test.content, str):
        service.options["health_cmd"] = test.content
    elif test is not None:
        if kind not in ("CMD", "CMD-SHELL") or len(test.texts()) < 2:
            raise test.wrong("is no test", 'write a text, ["CMD", PROGRAM, ...], ["CMD-SHELL", TEXT] or ["NONE"]')
        service.options["health_cmd"] = test.texts() if kind == "CMD" else test.texts()[1]
    for key in ("interval", "timeout", "start_period", "start_interval", "retries"):
        if key in parts:
            if key != "retries":
                seconds(parts[key])
            service.options[f"health_{key}"] = parts[key].text()


def seconds(field: Field) -> float:
    """Return the seconds of a time such as ``1m30s``; UsageError: it is none."""
    try:
        return life.duration("", field.text())
    except UsageError as error:
        raise field.wrong(f"{field.text()!r} is not a time", error.cure) from error


def grace(service: Service, field: Field, _: ServiceContext) -> None:
    """Read the time between the stop signal and KILL; --stop-timeout counts whole seconds."""
    service.options["stop_timeout"] = str(math.ceil(seconds(field)))


def init(service: Service, field: Field, _: ServiceContext) -> None:
    """Read whether PID 1 forwards signals and reaps, or is the program itself."""
    service.options["init"] = "forward" if field.flag() else "none"


def ulimits(service: Service, field: Field, _: ServiceContext) -> None:
    """Read limits: a number, or a mapping to ``soft`` and ``hard``."""
    service.add("ulimit", *limits(field))


def limits(field: Field) -> list[str]:
    """Return ``NAME=SOFT[:HARD]`` lines, the values of --ulimit."""
    lines = []
    for name, entry in field.mapping().items():
        if isinstance(entry.content, dict):
            parts = entry.mapping(("soft", "hard"))
            values = ":".join(parts[key].text() for key in ("soft", "hard") if key in parts)
        else:
            values = entry.text()
        lines.append(f"{name}={values}")
    return lines


def logging(service: Service, field: Field, _: ServiceContext) -> None:
    """Read the log driver and its options."""
    parts = field.mapping(("driver", "options"))
    if "driver" in parts:
        if parts["driver"].text() not in ("json-file", "local", "none"):
            raise parts["driver"].wrong("is no log driver of tinybox's", "json-file, local or none")
        service.options["log_driver"] = parts["driver"].text()
    if "options" in parts:
        service.add("log_opt", *(f"{key}={value or ''}" for key, value in parts["options"].pairs().items()))


def hooks(name: str) -> Callable[[Service, Field, ServiceContext], None]:
    """Return the reader of ``post_start`` or ``pre_stop``: programs with the options of `exec`."""

    def read(service: Service, field: Field, context: ServiceContext) -> None:
        getattr(service, name).extend(hook(entry, context) for entry in field.entries())

    return read


def hook(field: Field, context: ServiceContext) -> Hook:
    """Return one program that is run in a container; UsageError: it names none."""
    parts = field.mapping(("command", "user", "privileged", "working_dir", "environment"))
    command = parts["command"].arguments() if "command" in parts else []
    if not command:
        raise field.wrong("names no command", "command: PROGRAM")
    options: dict[str, Any] = {"privileged": "privileged" in parts and parts["privileged"].flag()}
    if "environment" in parts:
        options["env"] = context.settings(parts["environment"].pairs())
    for key, option in (("user", "user"), ("working_dir", "workdir")):
        if key in parts:
            options[option] = parts[key].text()
    return Hook(command, options)
