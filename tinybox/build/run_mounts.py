"""The mounts of a RUN, --mount: files of the context, a stage or an image, a cache that stays, a secret.

They are made below a directory of the build's workspace, in the mount namespace of the process that builds the stage,
and bound into the container from there. What the program writes into a bind mount is lost; nothing of a secret is
written to the disk: it is in a tmpfs(5).
"""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.build import layering, named_contexts, run_flags
from tinybox.build.containerfile import Instruction
from tinybox.build.files import copying
from tinybox.build.files.context import Context
from tinybox.container.config import option_values
from tinybox.errors import UsageError
from tinybox.images import build_cache
from tinybox.linux import mount
from tinybox.linux.filesystem import files, locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinybox.build.containerfile import Heredoc
    from tinybox.build.files.copying import CopyRequest
    from tinybox.build.layering import Site
    from tinybox.build.order import Order, Origin
    from tinybox.build.run_flags import Mount
    from tinybox.container.records.spec_types import Mount as MountEntry

    Find = Callable[[str], Origin]

_IN_ROOT = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS
_SECRET_MODE = 0o400
_CACHE_MODE = 0o755


class Prepared(NamedTuple):
    """The *mounts* as entries of config.json, the *places* of all of them, and *variables* with a secret.

    They are no texts for the option --mount: a path from an image or a Containerfile may have a comma in it.
    """

    mounts: list[MountEntry]
    places: list[str]
    variables: dict[str, str]


def key(order: Order, instruction: Instruction, wanted: list[Mount], find: Find) -> list[Any]:
    """Return what the result of a RUN depends on by its mounts; of caches and secrets only the words."""
    found: list[Any] = []
    for each in wanted:
        content: object = ""
        if each.kind == "bind":
            name = each.fields.get("from", "")
            with _context(order, name) as context:
                content = copying.digest(_copied(instruction, each), context) if context else find(name).diff_ids
        found.append([each.kind, each.target, each.is_readonly, sorted(each.fields.items()), content])
    return found


@contextmanager
def prepared(
    site: Site,
    order: Order,
    instruction: Instruction,
    wanted: list[Mount],
    script: Heredoc | None,
    step: int,
    find: Find,
) -> Iterator[Prepared]:
    """Make the mounts of a RUN, and remove them at the end of the block; UsageError: one cannot be made."""
    made = Prepared([], [], {})
    with ExitStack() as stack:
        folder = site.folder(step)
        stack.callback(files.remove_tree, folder)
        for number, each in enumerate(wanted):
            made.places.extend([each.target] if each.target else [])
            place = f"{folder}/{number}"
            if each.kind == "bind":
                source = _bind(stack, order, instruction, each, place, find)
                made.mounts.append(_bound(source, each.target, is_readonly=each.is_readonly))
            elif each.kind == "cache":
                source = _cache(stack, site, each)
                made.mounts.append(_bound(source, each.target, is_readonly=each.is_readonly))
            elif each.kind == "tmpfs":
                made.mounts.append(_tmpfs(each))
            else:
                _secret(stack, order.secrets, each, place, made)
        if script is not None:
            os.mkdir(f"{folder}/scripts", 0o755)
            _write(f"{folder}/scripts/{script.name}", script.text.encode("utf-8", "surrogateescape"), 0o755)
            made.mounts.append(_bound(f"{folder}/scripts", run_flags.SCRIPTS, is_readonly=True))
        yield made


def _bound(source: str, target: str, *, is_readonly: bool) -> MountEntry:
    options = ["rbind", "rprivate", *(["ro"] if is_readonly else [])]
    return {"destination": target, "type": "bind", "source": source, "options": options}


def _tmpfs(wanted: Mount) -> MountEntry:
    size = wanted.fields.get("size")
    limit = [f"size={option_values.size('mount', size)}"] if size else []
    options = ["nosuid", "nodev", "noexec", *limit]
    return {"destination": wanted.target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _copied(instruction: Instruction, wanted: Mount) -> CopyRequest:
    """Return the request to copy the source of a bind mount from the context; it is then `/x` in an empty directory."""
    source = wanted.fields.get("source") or wanted.fields.get("src") or "/"
    copy = Instruction("COPY", [], "", [source, "/x"], [], instruction.file, instruction.line)
    return copying.read(copy, {}, "\\", {})


def _bind(stack: ExitStack, order: Order, instruction: Instruction, wanted: Mount, place: str, find: Find) -> str:
    """Return the path of what a bind mount shows: a copy of a part of the context, or a path in mounted layers."""
    name = wanted.fields.get("from", "")
    with _context(order, name) as context:
        if context is not None:
            os.mkdir(place, 0o755)
            root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                copying.copy(_copied(instruction, wanted), context, root)
            finally:
                os.close(root)
            return f"{place}/x"
    root = stack.enter_context(layering.merged(find(name).layers, place))
    source = wanted.fields.get("source") or wanted.fields.get("src") or "/"
    try:
        fd = files.openat2(root, os.fsencode(source.lstrip("/") or "."), os.O_PATH | os.O_CLOEXEC, _IN_ROOT)
    except OSError as error:
        raise UsageError(f"--mount source={source}", f"{name} has no such file", "correct the path") from error
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


@contextmanager
def _context(order: Order, name: str) -> Iterator[Context | None]:
    """Yield the context of the build, or the directory of the context *name*; None: it is a stage or an image."""
    if not name:
        yield order.context
    elif directory := named_contexts.directory(order.contexts, name):
        with Context.of_directory(directory) as found:
            yield found
    else:
        yield None


def _cache(stack: ExitStack, site: Site, wanted: Mount) -> str:
    """Return the directory of a cache mount; while it is used, `prune` does not remove it: flock(2)."""
    name = hashlib.sha256((wanted.fields.get("id") or wanted.target).encode("utf-8", "surrogateescape")).hexdigest()
    with site.store.locked():
        lock, path, is_new = build_cache.mount(site.store.root, name)
        stack.callback(os.close, lock)
        if is_new:
            os.chown(path, wanted.number("uid", 0), wanted.number("gid", 0))
            os.chmod(path, run_flags.mode(wanted, _CACHE_MODE))
    if wanted.fields.get("sharing", "shared") != "shared":
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        locks.lock_file(fd)
    return path


def _secret(stack: ExitStack, secrets: Mapping[str, bytes], wanted: Mount, place: str, made: Prepared) -> None:
    name = wanted.fields["id"]
    content = secrets.get(name)
    if content is None:
        if wanted.fields.get("required", "").lower() in {"true", "1"}:
            raise UsageError(f"secret {name}", "was not given", f"--secret id={name},src=FILE")
        return
    variable = wanted.fields.get("env", "")
    if variable:
        made.variables[variable] = content.decode("utf-8", "surrogateescape")
    if not wanted.target:
        return
    os.mkdir(place, 0o700)
    mount.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"mode=0700")
    stack.callback(mount.umount2, os.fsencode(place), mount.MNT_DETACH)
    _write(f"{place}/secret", content, run_flags.mode(wanted, _SECRET_MODE))
    os.chown(f"{place}/secret", wanted.number("uid", 0), wanted.number("gid", 0))
    made.mounts.append(_bound(f"{place}/secret", wanted.target, is_readonly=True))


def _write(path: str, content: bytes, mode: int) -> None:
    with open(path, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
