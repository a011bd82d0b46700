"""The key `develop` of a service: which changes of files `compose watch` answers, and how."""

from __future__ import annotations

from tinybox.compose.reading import life_keys
from tinybox.compose.reading.service import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

ACTIONS = ("rebuild", "restart", "sync", "sync+restart", "sync+exec")


def read(service: Service, field: Field, context: ServiceContext) -> None:
    """Read the rules; UsageError names the wrong entry and its line."""
    parts = field.mapping(("watch",))
    for entry in parts["watch"].entries() if "watch" in parts else ():
        service.watch.append(_rule(entry, context))


def _rule(entry: Field, context: ServiceContext) -> Watch:
    parts = entry.mapping(("path", "action", "target", "ignore", "include", "exec"))
    for key in ("path", "action"):
        if key not in parts:
            raise entry.wrong(f"names no {key}", f"{key}: {'PATH' if key == 'path' else ' or '.join(ACTIONS)}")
    action = parts["action"].text()
    if action not in ACTIONS:
        raise parts["action"].wrong(f"{action} is no action", ", ".join(ACTIONS))
    if action.startswith("sync") and "target" not in parts:
        raise entry.wrong(f"{action} needs a target", "target: /DIRECTORY in the box")
    if (action == "sync+exec") != ("exec" in parts):
        raise entry.wrong("sync+exec and exec: belong together", "write both, or neither")
    found = Watch(
        context.path(parts["path"].text()),
        action,
        parts["target"].text() if "target" in parts else "",
        ignore=parts["ignore"].texts() if "ignore" in parts else [],
        include=parts["include"].texts() if "include" in parts else [],
    )
    found.hook = life_keys.hook(parts["exec"], context) if "exec" in parts else None
    return found
