"""The table of the keys of a service: a function for each key turns its field into options of ``tinybox run``.

The keys that are options of ``run`` under another name come from the table of options, container/config/options.py.
Every function takes the service that is being made, the field of the file, and the context of the field's values.
"""

from __future__ import annotations

import os

from tinybox.compose.reading import (
    build_key,
    deploy_key,
    dotenv,
    granted_files,
    life_keys,
    refused_keys,
    service_mounts,
    service_networks,
    watch_key,
)
from tinybox.container.config.options import FLAG, LIST, OPTIONS, TEXT
from tinybox.text_values import is_whole

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
    service.add("env", *context.settings(field.pairs()))


def _env_file(service: Service, field: Field, context: ServiceContext) -> None:
    """Put the variables of the files before those of ``environment``, so that ``environment`` overrides them."""
    lines: list[str] = []
    for entry in [field] if isinstance(field.content, str) else field.entries():
        parts = entry.mapping(("path", "required", "format")) if isinstance(entry.content, dict) else {"path": entry}
        if "path" not in parts:
            raise entry.wrong("names no path")
        style = parts["format"].text() if "format" in parts else ""
        if style not in ("", "raw"):
            raise parts["format"].wrong(f"{style} is no format of such a file", "raw: without quotes and variables")
        path = context.path(parts["path"].text())
        if "required" in parts and not parts["required"].flag() and not os.path.exists(path):
            continue
        pairs = dotenv.read_raw(path) if style else dotenv.read(path, context.variables)
        lines += context.settings(pairs)
    service.options["env"] = [*lines, *service.options.get("env", [])]


def _label_file(service: Service, field: Field, context: ServiceContext) -> None:
    """Put the labels of the files before those of ``labels``, so that ``labels`` overrides them."""
    files = (dotenv.read(context.path(path), context.variables) for path in field.texts())
    lines = [f"{key}={value or ''}" for pairs in files for key, value in pairs.items()]
    service.options["label"] = [*lines, *service.options.get("label", [])]


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


def _profiles(service: Service, field: Field, _: ServiceContext) -> None:
    service.profiles = field.texts()


def _attach(service: Service, field: Field, _: ServiceContext) -> None:
    service.attach = field.flag()


_DAYS = {"daily": "1d", "weekly": "1w"}
_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}  # seconds


def _pull_policy(service: Service, field: Field, _: ServiceContext) -> None:
    """Read when the image is pulled: ``every_12h`` means that an image which is older is asked for again."""
    word = {"if_not_present": "missing"}.get(field.text(), field.text())
    span = _DAYS.get(word, word.removeprefix("every_") if word.startswith("every_") else "")
    if span:
        service.pull, service.refresh = "refresh", _span(field, span)
        return
    if word not in ("missing", "always", "never", "build", "refresh"):
        raise field.wrong(f"{word} is no policy", "missing, always, never, build, daily, weekly or every_12h")
    service.pull = word


def _pull_refresh_after(service: Service, field: Field, _: ServiceContext) -> None:
    service.refresh = _span(field, field.text())


def _span(field: Field, text: str) -> int:
    """Return the seconds of ``1w2d``, or of another sum of weeks, days, hours, minutes and seconds."""
    total, digits = 0, ""
    for letter in text:
        if letter in _UNITS and is_whole(digits):
            total, digits = total + int(digits) * _UNITS[letter], ""
        else:
            digits += letter
    if digits or not total:
        raise field.wrong(f"{text!r} is no time", "write 12h, 1d or 1w")
    return total


def _blkio(service: Service, field: Field, _: ServiceContext) -> None:
    """Read the limits and weights of disks into --device-read-bps and its like."""
    rates = ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")
    for key, entry in field.mapping((*rates, "weight", "weight_device")).items():
        if key == "weight":
            service.options["blkio_weight"] = entry.text()
            continue
        amount, option = ("rate", key) if key in rates else ("weight", "blkio_weight_device")
        for item in entry.entries():
            parts = item.mapping(("path", amount))
            if len(parts) != 2:
                raise item.wrong(f"needs path and {amount}")
            service.add(option, f"{parts['path'].text()}:{parts[amount].text()}")


def _devices(service: Service, field: Field, _: ServiceContext) -> None:
    """Read ``SRC[:DST[:rwm]]``, or a mapping to source, target and permissions."""
    for entry in field.entries():
        if not isinstance(entry.content, dict):
            service.add("device", entry.text())
            continue
        parts = entry.mapping(("source", "target", "permissions"))
        if "source" not in parts:
            raise entry.wrong("names no source", "source: /dev/NAME")
        source = parts["source"].text()
        target, access = (parts[key].text() if key in parts else "" for key in ("target", "permissions"))
        service.add("device", ":".join([source, target or source, *([access] if access else [])]))


_PLAIN = {FLAG: _flag, TEXT: _text, LIST: _list}
KEYS: dict[str, Reader] = {
    option.compose: (_pairs if option.mapping else _PLAIN[option.kind])(option.key)
    for option in OPTIONS
    if option.compose
} | {  # and those whose words have to be translated
    "attach": _attach,
    "blkio_config": _blkio,
    "build": build_key.read,
    "command": _command,
    "configs": granted_files.READERS["configs"],
    "container_name": _nothing,  # ServiceContext.container reads it
    "depends_on": _depends_on,
    "deploy": deploy_key.read,
    "develop": watch_key.read,
    "devices": _devices,
    "entrypoint": _entrypoint,
    "env_file": _env_file,
    "environment": _environment,
    "expose": _list("expose"),
    "external_links": service_networks.external_links,
    "extra_hosts": service_networks.extra_hosts,
    "healthcheck": life_keys.healthcheck,
    "image": _image,
    "init": life_keys.init,
    "ipc": service_networks.namespace("ipc"),
    "label_file": _label_file,
    "links": service_networks.links,
    "logging": life_keys.logging,
    "network_mode": service_networks.namespace("network"),
    "networks": service_networks.networks,
    "pid": service_networks.namespace("pid"),
    "ports": service_networks.ports,
    "post_start": life_keys.hooks("post_start"),
    "pre_stop": life_keys.hooks("pre_stop"),
    "profiles": _profiles,
    "pull_policy": _pull_policy,
    "pull_refresh_after": _pull_refresh_after,
    "scale": deploy_key.scale,
    "secrets": granted_files.READERS["secrets"],
    "stop_grace_period": life_keys.grace,
    "ulimits": life_keys.ulimits,
    "volumes": service_mounts.volumes,
    "volumes_from": service_mounts.volumes_from,
    **refused_keys.READERS,
}
