"""The ``volumes`` of a service, short and long: directories of the host, volumes of the project, memory."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.document import Field
    from tinybox.compose.service import Service, ServiceContext

_LONG = ("type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency")


def volumes(service: Service, field: Field, scene: ServiceContext) -> None:
    """Translate every entry into an option of ``run``: --volume for the short form, --mount for the long one."""
    for entry in field.entries():
        if isinstance(entry.content, dict):
            _long(service, entry, scene)
        else:
            _short(service, entry, scene)


def volumes_from(service: Service, field: Field, scene: ServiceContext) -> None:
    """Read ``SERVICE[:ro]`` or ``container:NAME[:ro]``: whose volumes and binds it has, too; a service comes first."""
    for entry in field.entries():
        name, *mode = entry.text().removeprefix("container:").split(":")
        if not entry.text().startswith("container:"):
            if name not in scene.services:
                raise entry.wrong(f"there is no service {name}", "one of another project is container:NAME")
            service.needs(name)
            name = scene.container(name)
        service.add("volumes_from", ":".join([name, *mode]))


def _short(service: Service, field: Field, scene: ServiceContext) -> None:
    """Read ``SOURCE:TARGET[:MODE]``; a directory of the host that is missing will be made, as docker does."""
    source, colon, rest = field.text().partition(":")
    if not colon:
        service.add("volume", source)  # a volume without a name
    elif source.startswith((".", "/", "~")):
        path = scene.path(source)
        service.folders.append(path)
        service.add("volume", f"{path}:{rest}")
    else:
        service.add("volume", f"{_name(field, source, scene)}:{rest}")


def _name(field: Field, word: str, scene: ServiceContext) -> str:
    if word not in scene.volumes:
        raise field.wrong(f"there is no volume {word}", f"declare it: volumes: {{{word}: }}; a path begins with ./")
    return scene.volumes[word]


def _long(service: Service, field: Field, scene: ServiceContext) -> None:
    parts = field.mapping(_LONG)
    if "type" not in parts or "target" not in parts:
        raise field.wrong("needs type and target")
    kind, source = parts["type"].text(), parts["source"].text() if "source" in parts else ""
    words = [f"type={kind}", f"target={parts['target'].text()}"]
    if kind == "bind":
        source = scene.path(source)
        words += _bind(service, parts, source)
    elif kind == "volume":
        source = _name(parts["source"], source, scene) if source else ""
        if "volume" in parts:
            more = parts["volume"].mapping(("nocopy",))
            words += ["volume-nocopy"] * ("nocopy" in more and more["nocopy"].flag())
    elif kind == "tmpfs":
        sizes = parts["tmpfs"].mapping(("size", "mode")) if "tmpfs" in parts else {}
        words += [f"tmpfs-{key}={entry.text()}" for key, entry in sizes.items()]
    else:
        raise parts["type"].wrong(f"{kind} is no type of mount", "bind, volume or tmpfs")
    words += [f"source={source}"] * bool(source)
    words += ["readonly"] * ("read_only" in parts and parts["read_only"].flag())
    service.add("mount", ",".join(words))


def _bind(service: Service, parts: dict[str, Field], source: str) -> list[str]:
    """Return the words of a bind mount; its *source* is made only where the file asks for that."""
    more = parts["bind"].mapping(("propagation", "create_host_path")) if "bind" in parts else {}
    if "create_host_path" in more and more["create_host_path"].flag():
        service.folders.append(source)
    return [f"bind-propagation={more['propagation'].text()}"] if "propagation" in more else []
