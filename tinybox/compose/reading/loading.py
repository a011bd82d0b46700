"""Load the files of a project: their `extends`, the merging of several files, and their `include`.

A service that extends another one is merged with it before the files are merged. An included file is a project of its
own, with its own directory and .env; its services and all that it declares are added to this project.
"""

from __future__ import annotations

import os

from tinybox.compose.reading import document, dotenv, overriding
from tinybox.compose.reading.document import Field
from tinybox.compose.reading.interpolation import AsWritten
from tinybox.compose.reading.relative_paths import anchored, anchored_service, joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILES_MOST = 200  # of a project, with those that are included and extended: each file may name several others
CHAIN_MOST = 50  # services that extend one another
KINDS = ("services", "networks", "volumes", "secrets", "configs")


class Loading:
    """One project that is loaded; *folder* is its directory, *unset* gets the names of variables without a value."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.unset: dict[str, None] = {}
        self._count = 0

    def tree(
        self, paths: Sequence[str], folder: str, variables: Mapping[str, str], including: tuple[str, ...] = ()
    ) -> Field:
        """Return the merged tree of the files *paths*, with all that they extend and include.

        Relative paths in them begin in *folder*; *including* are the files that have led to these.
        """
        trees = [self._extended_file(self._read(path, variables), path, folder, variables) for path in paths]
        tree = trees[0]
        for over in trees[1:]:
            tree = overriding.merged(tree, over)
        tree = overriding.settled(tree)
        entries = tree.mapping()
        tree = Field({key: entry for key, entry in entries.items() if key != "include"}, tree.name, tree.place)
        if folder != self.folder:
            tree = anchored(tree, folder)
        for entry in entries["include"].entries() if "include" in entries else ():
            self._include(tree, entry, folder, variables, (*including, *paths))
        return tree

    def _read(self, path: str, variables: Mapping[str, str], named: Field | None = None) -> Field:
        self._count += 1
        if self._count > FILES_MOST and named is not None:
            raise named.wrong(f"the project has more than {FILES_MOST} files", "do its files include one another?")
        return document.read(path, variables, self.unset.setdefault)

    def _include(
        self, tree: Field, entry: Field, folder: str, variables: Mapping[str, str], including: tuple[str, ...]
    ) -> None:
        """Add all that the included files declare to *tree*; UsageError: it has another thing of the same name."""
        parts = {"path": entry}
        if isinstance(entry.content, dict):
            parts = entry.mapping(("path", "env_file", "project_directory"))
        if "path" not in parts or not parts["path"].texts():
            raise entry.wrong("names no path", "path: FILE")
        paths = [joined(folder, path) for path in parts["path"].texts()]
        if paths[0] in including:
            raise entry.wrong(f"files include one another: {' -> '.join([*including, paths[0]])}")
        own = parts["project_directory"].text() if "project_directory" in parts else os.path.dirname(paths[0])
        own = joined(folder, own)
        files = [joined(folder, path) for path in parts["env_file"].texts()] if "env_file" in parts else []
        if self._count > FILES_MOST:
            raise entry.wrong(f"the project has more than {FILES_MOST} files", "do its files include one another?")
        _add(tree, self.tree(paths, own, _with_files(variables, own, files), including), entry)

    def _extended_file(self, tree: Field, path: str, folder: str, variables: Mapping[str, str]) -> Field:
        """Return the *tree* of a file with all its services merged with those that they extend."""
        services = tree.content.get("services") if isinstance(tree.content, dict) else None
        if services is None or not isinstance(services.content, dict):
            return tree
        chain = _Chain(self, variables)
        made = {name: chain.service(name, services.content, (path, folder)) for name in services.content}
        whole = Field(made, services.name, services.place, services.tag)
        return Field({**tree.content, "services": whole}, tree.name, tree.place, tree.tag)


class _Chain:
    """The services of a file and those that they extend, in other files, too; each file is read once."""

    def __init__(self, loading: Loading, variables: Mapping[str, str]) -> None:
        self._loading, self._variables = loading, variables
        self._files: dict[str, dict[str, Field]] = {}

    def service(
        self, name: str, services: Mapping[str, Field], where: tuple[str, str], above: tuple[tuple[str, str], ...] = ()
    ) -> Field:
        """Return the service *name* with what it extends; *where* is its file, and where paths in that begin."""
        service = services[name]
        entry = service.content.get("extends") if isinstance(service.content, dict) else None
        if entry is None:
            return service
        path, folder = where
        chain = (*above, (path, name))
        if (path, name) in above or len(chain) > CHAIN_MOST:
            raise entry.wrong("services extend one another", " -> ".join(each for _, each in chain))
        parts = entry.mapping(("service", "file")) if isinstance(entry.content, dict) else {"service": entry}
        if "service" not in parts:
            raise entry.wrong("names no service", "service: NAME")
        other, others = parts["service"].text(), services
        if "file" in parts:
            path = joined(folder, parts["file"].text())
            others, folder = self._services(path, parts["file"]), os.path.dirname(path)
        if other not in others:
            raise parts["service"].wrong(f"there is no service {other} in {os.path.relpath(path)}")
        base = self.service(other, others, (path, folder), chain)
        if folder != where[1]:
            base = anchored_service(base, folder)
        own = {key: value for key, value in service.content.items() if key != "extends"}
        return overriding.merged(base, Field(own, service.name, service.place, service.tag))

    def _services(self, path: str, named: Field) -> dict[str, Field]:
        if path not in self._files:
            tree = self._loading._read(path, self._variables, named)  # noqa: SLF001  the chain is a part of it
            entries = tree.mapping()
            self._files[path] = entries["services"].mapping() if "services" in entries else {}
        return self._files[path]


def _with_files(variables: Mapping[str, str], folder: str, files: Sequence[str]) -> Mapping[str, str]:
    """Return *variables* and those of the included project's own files, or of its .env, that are not set yet."""
    if isinstance(variables, AsWritten):
        return variables
    usual = os.path.join(folder, ".env")
    found: dict[str, str | None] = {}
    for path in files or ([usual] if os.path.isfile(usual) else []):
        found |= dotenv.read(path, variables)
    return {key: value for key, value in found.items() if value is not None} | dict(variables)


def _add(tree: Field, more: Field, entry: Field) -> None:
    for kind in KINDS:
        new = more.content.get(kind)
        if new is None or not new.mapping():
            continue
        known = tree.content.setdefault(kind, Field({}, kind, new.place))
        known.content = known.mapping()
        for name, field in new.mapping().items():
            other = known.content.setdefault(name, field)
            if other is not field and other.plain() != field.plain():
                raise entry.wrong(f"{kind}.{name} at {field.place} conflicts with that at {other.place}")
