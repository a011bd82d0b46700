"""The key ``volumes`` of a service, in short and long form: bind mounts, volumes of the project, tmpfs, images."""

from __future__ import annotations

from tinybox.compose.reading.relative_paths import is_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

_KINDS = ("bind", "volume", "tmpfs", "image")
_LONG = ("type", "source", "target", "read_only", "consistency", *_KINDS)


def volumes(service: Service, field: Field, context: ServiceContext) -> None:
    """Translate every entry into an option of ``run``: --volume for the short form, --mount for the long one."""
    for entry in field.entries():
        if isinstance(entry.content, dict):
            _long(service, entry, context)
        else:
            _short(service, entry, context)


def volumes_from(service: Service, field: Field, context: ServiceContext) -> None:
    """Read ``SERVICE[:ro]`` or ``container:NAME[:ro]`` into --volumes-from; a service is started before this one."""
    for entry in field.entries():
        name, *mode = entry.text().removeprefix("container:").split(":")
        if not entry.text().startswith("container:"):
            if name not in context.services:
                raise entry.wrong(f"there is no service {name}", "a container of another project is container:NAME")
            service.needs(name)
            name = context.container(name)
        service.add("volumes_from", ":".join([name, *mode]))


def _short(service: Service, field: Field, context: ServiceContext) -> None:
    """Read ``SOURCE:TARGET[:MODE]``; a missing directory of the host will be made by `up`, as in docker."""
    source, colon, rest = field.text().partition(":")
    if not colon:
        service.add("volume", source)  # a volume without a name
    elif is_path(source):
        path = context.path(source)
        service.folders.append(path)
        service.add("volume", f"{path}:{rest}")
    else:
        service.add("volume", f"{_name(field, source, context)}:{rest}")


def _name(field: Field, key: str, context: ServiceContext) -> str:
    if key not in context.volumes:
        raise field.wrong(f"there is no volume {key}", f"declare it: volumes: {{{key}: }}; a path begins with ./")
    return context.volumes[key]


def _long(service: Service, field: Field, context: ServiceContext) -> None:
    parts = field.mapping(_LONG)
    if "type" not in parts or "target" not in parts:
        raise field.wrong("needs type and target")
    kind, source = parts["type"].text(), parts["source"].text() if "source" in parts else ""
    options = [f"type={kind}", f"target={parts['target'].text()}"]
    if kind == "bind":
        source = context.path(source)
        options += _bind(service, parts, source)
    elif kind == "volume":
        source = _name(parts["source"], source, context) if source else ""
        options += _volume(parts)
    elif kind == "tmpfs":
        sizes = parts["tmpfs"].mapping(("size", "mode")) if "tmpfs" in parts else {}
        options += [f"tmpfs-size={sizes[key].text()}" for key in ("size",) if key in sizes]
        options += [f"tmpfs-mode={sizes[key].mode():o}" for key in ("mode",) if key in sizes]
    elif kind == "image":
        more = parts["image"].mapping(("subpath",)) if "image" in parts else {}
        options += [f"image-{key}={entry.text()}" for key, entry in more.items()]
    else:
        raise parts["type"].wrong(f"{kind} is no type of mount", "bind, volume, tmpfs or image")
    service.notes += [f"{field.name}: {other} is ignored for a mount of type {kind}"
                      for other in _KINDS if other in parts and other != kind]  # fmt: skip
    options += [f"source={source}"] * bool(source)
    options += ["readonly"] * ("read_only" in parts and parts["read_only"].flag())
    service.add("mount", joined_fields(options))


def joined_fields(fields: list[str]) -> str:
    """Return a value of --mount; a field with a comma or a quote is in quotes, as in CSV."""
    return ",".join(f'"{field.replace(chr(34), chr(34) * 2)}"' if {",", '"'} & {*field} else field for field in fields)


def _bind(service: Service, parts: dict[str, Field], source: str) -> list[str]:
    """Return the options of a bind mount; `up` makes a missing *source*, unless create_host_path is false."""
    known = ("propagation", "create_host_path", "recursive", "selinux")
    more = parts["bind"].mapping(known) if "bind" in parts else {}
    if "create_host_path" not in more or more["create_host_path"].flag():
        service.folders.append(source)
    if "selinux" in more and more["selinux"].text() not in ("z", "Z"):
        raise more["selinux"].wrong(f"{more['selinux'].text()} is no label", "z or Z")
    return [f"bind-{key}={more[key].text()}" for key in ("propagation", "recursive") if key in more]


def _volume(parts: dict[str, Field]) -> list[str]:
    more = parts["volume"].mapping(("nocopy", "subpath", "labels")) if "volume" in parts else {}
    labels = more["labels"].pairs() if "labels" in more else {}
    options = [f"volume-label={key}={value or ''}" for key, value in labels.items()]
    options += ["volume-nocopy"] * ("nocopy" in more and more["nocopy"].flag())
    return options + [f"volume-subpath={more[key].text()}" for key in ("subpath",) if key in more]
