"""The table of the keys of a service: a function for each key turns its field into options of ``tinybox run``.

The keys that are options of ``run`` under another name come from the table of options, container/config/options.py.
Every function takes the service that is being made, the field of the file, and the context of the field's values.
"""

from __future__ import annotations

import math
import os

from tinybox.compose.reading import build_key, dotenv, service_mounts, service_networks
from tinybox.container.config import life
from tinybox.container.config.options import FLAG, LIST, OPTIONS, TEXT
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

    Reader = Callable[[Service, Field, ServiceContext], None]


def _text(option: str) -> Reader:
    def read(service: Service, field: Field, _: ServiceContext) -> None:
        service.options[option] = field.text()

    return read


def _flag(option: str) -> Reader:
    def read(service: Service, field: Field, _: ServiceContext) -> None:
        service.options[option] = field.flag()

    return read


def _list(option: str) -> Reader:
    def read(service: Service, field: Field, _: ServiceContext) -> None:
        service.add(option, *field.texts())

    return read


def _pairs(option: str) -> Reader:
    def read(service: Service, field: Field, _: ServiceContext) -> None:
        service.add(option, *(f"{key}={value or ''}" for key, value in field.pairs().items()))

    return read


def _nothing(service: Service, field: Field, context: ServiceContext) -> None:
    """Do nothing: the key describes what tinybox does in any case."""


def _image(service: Service, field: Field, _: ServiceContext) -> None:
    service.image = field.text()


def _command(service: Service, field: Field, _: ServiceContext) -> None:
    service.command = None if field.content is None else field.arguments()


def _entrypoint(service: Service, field: Field, _: ServiceContext) -> None:
    service.entrypoint = None if field.content is None else field.arguments()


def _environment(service: Service, field: Field, context: ServiceContext) -> None:
    service.add("env", *_settings(field.pairs(), context))


def _settings(pairs: dict[str, str | None], context: ServiceContext) -> list[str]:
    """Return ``NAME=VALUE`` lines; a name without a value takes the project's variable, or is left out without one."""
    values = {name: context.variables.get(name) if value is None else value for name, value in pairs.items()}
    return [f"{name}={value}" for name, value in values.items() if value is not None]


def _env_file(service: Service, field: Field, context: ServiceContext) -> None:
    """Put the variables of the files before those of ``environment``, so that ``environment`` overrides them."""
    lines: list[str] = []
    for entry in [field] if isinstance(field.content, str) else field.entries():
        parts = entry.mapping(("path", "required")) if isinstance(entry.content, dict) else {"path": entry}
        if "path" not in parts:
            raise entry.wrong("names no path")
        path = context.path(parts["path"].text())
        if "required" in parts and not parts["required"].flag() and not os.path.exists(path):
            continue
        lines += _settings(dotenv.read(path, context.variables), context)
    service.options["env"] = [*lines, *service.options.get("env", [])]


def _depends_on(service: Service, field: Field, _: ServiceContext) -> None:
    from tinybox.compose.reading.service import CONDITIONS, STARTED

    if isinstance(field.content, list):
        for name in field.texts():
            service.depends_on[name] = STARTED
        return
    for name, entry in field.mapping().items():
        parts = entry.mapping(("condition", "required", "restart"))
        condition = parts["condition"].text() if "condition" in parts else STARTED
        if condition not in CONDITIONS:
            raise parts["condition"].wrong(f"{condition} is no condition", ", ".join(CONDITIONS))
        service.depends_on[name] = condition
        if "required" in parts and not parts["required"].flag():
            service.optional.add(name)
        if "restart" in parts and parts["restart"].flag():
            service.follows.add(name)


def _healthcheck(service: Service, field: Field, _: ServiceContext) -> None:
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
                _seconds(parts[key])
            service.options[f"health_{key}"] = parts[key].text()


def _seconds(field: Field) -> float:
    try:
        return life.duration("", field.text())
    except UsageError as error:
        raise field.wrong(f"{field.text()!r} is not a time", error.cure) from error


def _grace(service: Service, field: Field, _: ServiceContext) -> None:
    service.options["stop_timeout"] = str(math.ceil(_seconds(field)))


def _init(service: Service, field: Field, _: ServiceContext) -> None:
    service.options["init"] = "forward" if field.flag() else "none"


def _ulimits(service: Service, field: Field, _: ServiceContext) -> None:
    for name, entry in field.mapping().items():
        if isinstance(entry.content, dict):
            parts = entry.mapping(("soft", "hard"))
            values = ":".join(parts[key].text() for key in ("soft", "hard") if key in parts)
        else:
            values = entry.text()
        service.add("ulimit", f"{name}={values}")


def _logging(service: Service, field: Field, _: ServiceContext) -> None:
    parts = field.mapping(("driver", "options"))
    if "driver" in parts:
        if parts["driver"].text() not in ("json-file", "local", "none"):
            raise parts["driver"].wrong("is no log driver of tinybox's", "json-file, local or none")
        service.options["log_driver"] = parts["driver"].text()
    if "options" in parts:
        service.add("log_opt", *(f"{key}={value or ''}" for key, value in parts["options"].pairs().items()))


def _deploy(service: Service, field: Field, context: ServiceContext) -> None:
    parts = field.mapping(("resources", "replicas", "restart_policy"))
    if "replicas" in parts:
        _one(service, parts["replicas"], context)
    if "restart_policy" in parts:
        policy = parts["restart_policy"].mapping(("condition", "max_attempts"))
        condition = policy["condition"].text() if "condition" in policy else "any"
        most = f":{policy['max_attempts'].text()}" if "max_attempts" in policy and condition == "on-failure" else ""
        service.options["restart"] = {"any": "always", "none": "no"}.get(condition, condition) + most
    resources = parts["resources"].mapping(("limits", "reservations")) if "resources" in parts else {}
    if "limits" in resources:
        _amounts(service, resources["limits"], {"cpus": "cpus", "memory": "memory", "pids": "pids_limit"})
    if "reservations" in resources:
        _amounts(service, resources["reservations"], {"cpus": "", "memory": "memory_reservation"})


def _amounts(service: Service, field: Field, names: dict[str, str]) -> None:
    """Set the options that *names* gives for the amounts; a key without an option matters on many hosts only."""
    for key, entry in field.mapping(names).items():
        if not names[key]:
            service.notes.append(f"deploy: a reservation of {key} is ignored, because there is only one host")
            continue
        existing = service.options.setdefault(names[key], entry.text())
        if str(existing).lower() != entry.text().lower():
            raise entry.wrong(f"conflicts with {existing}, which another key of the service gives", "leave one out")


def _one(_: Service, field: Field, __: ServiceContext) -> None:
    if field.text() != "1":
        raise field.wrong("tinybox runs one container for each service", "leave it out")


def _profiles(service: Service, field: Field, _: ServiceContext) -> None:
    service.profiles = field.texts()


def _pull_policy(service: Service, field: Field, _: ServiceContext) -> None:
    service.pull = {"if_not_present": "missing"}.get(field.text(), field.text())
    if service.pull not in ("missing", "always", "never", "build"):
        raise field.wrong(f"{field.text()} is no policy of tinybox", "missing, always, never or build")


_PLAIN = {FLAG: _flag, TEXT: _text, LIST: _list}
KEYS: dict[str, Reader] = {
    option.compose: (_pairs if option.mapping else _PLAIN[option.kind])(option.key)
    for option in OPTIONS
    if option.compose
} | {  # and those whose words have to be translated
    "build": build_key.read,
    "command": _command,
    "container_name": _nothing,  # ServiceContext.container reads it
    "depends_on": _depends_on,
    "deploy": _deploy,
    "entrypoint": _entrypoint,
    "env_file": _env_file,
    "environment": _environment,
    "expose": _nothing,  # within a network every port can be reached
    "extra_hosts": service_networks.extra_hosts,
    "healthcheck": _healthcheck,
    "image": _image,
    "init": _init,
    "ipc": service_networks.namespace("ipc"),
    "logging": _logging,
    "network_mode": service_networks.namespace("network"),
    "networks": service_networks.networks,
    "pid": service_networks.namespace("pid"),
    "ports": service_networks.ports,
    "profiles": _profiles,
    "pull_policy": _pull_policy,
    "scale": _one,
    "stop_grace_period": _grace,
    "ulimits": _ulimits,
    "volumes": service_mounts.volumes,
    "volumes_from": service_mounts.volumes_from,
}
