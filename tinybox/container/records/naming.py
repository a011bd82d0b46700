"""Container names (--name, rename): made up, reserved for one container, and resolved to its id.

A name is a symbolic link ROOT/container-names/NAME, which points to an id. symlink(2) is atomic: if two commands want
the same name, one gets it and the other fails. No other file of the store has the current name (config.json has the
first one), so there is nothing that could disagree.
"""

from __future__ import annotations

import os

from tinybox.errors import ConflictError, NoSuchError, StateError, UsageError
from tinybox.linux.filesystem.files import discard
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.container.records.paths import Paths

    Link = tuple[int, str]  # the inode of the link of a name, and the id to which it points

_MOODS = (
    "able agile amber apt bold brave breezy bright brisk calm clear clever crisp deft eager early earnest fair "
    "fleet fond frank fresh gentle glad golden happy hardy honest jolly keen kind lively lucid lucky mellow merry "
    "mild neat nimble noble patient placid plain polite proud quick quiet ready rosy silent sincere smart snug "
    "sober steady still sunny sure swift tidy true trusty vivid warm wise witty young zesty"
).split()
_PEOPLE = (  # pioneers of computers, of operating systems, and of the ideas behind containers
    "allen amdahl babbage backus bartik bell berners boole brooks cerf cheriton church clark codd corbato cox "
    "dahl dijkstra eckert engelbart fagin floyd goldberg gosling hamilton hamming hoare holberton hopper iverson "
    "johnson joy kahn karp kay kernighan kildall kleinrock knuth lampson leffler liskov lovelace mcilroy mckusick "
    "mccarthy metcalfe milner minsky naur newell nygaard ossanna perlis perlman pike plauger postel raymond "
    "ritchie rivest saltzer shannon shamir spafford stallman stevens strachey sutherland tanenbaum tarjan "
    "thompson torvalds turing wilkes wirth zuse"
).split()
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
NO_SUCH = "no such container"
_LATER = _FIRST | frozenset("_.-")


def made_up() -> str:
    """Return a random name such as ``brisk_ritchie042``; the digits make it unlikely that thousands collide."""
    chosen = os.urandom(12)
    mood, person, number = (int.from_bytes(chosen[at : at + 4], "little") for at in (0, 4, 8))
    return f"{_MOODS[mood % len(_MOODS)]}_{_PEOPLE[person % len(_PEOPLE)]}{number % 1000:03}"


def checked(name: str) -> str:
    """Return *name* if docker would accept it: a letter or digit, then letters, digits and ``_.-``; else UsageError.

    A slash at its begin, as `inspect` prints it, is left out.
    """
    name = name.removeprefix("/")
    if not is_allowed(name):
        raise UsageError(f"container name {name!r}", "is not allowed", "use [a-zA-Z0-9][a-zA-Z0-9_.-]+")
    return name


def is_allowed(name: str) -> bool:
    """Return whether docker would accept *name* for a container or a volume."""
    return len(name) > 1 and name[0] in _FIRST and _LATER.issuperset(name)


def reserve(paths: Paths, name: str, container: str) -> None:
    """Reserve *name* for *container* by an atomic symlink(2); StateError if another container has the name."""
    lock = _lock(paths)
    try:
        try:
            os.symlink(container, os.path.join(paths.names, name))
        except FileExistsError:
            os.symlink(container, _free(paths, name))
    finally:
        os.close(lock)


def _free(paths: Paths, name: str) -> str:
    """Return the path of the link for *name*, after removing a dangling one; StateError if a container has the name."""
    link = os.path.join(paths.names, name)
    other = target(link)
    if other and (os.path.exists(paths.bundle(other)) or os.path.exists(paths.run_directory(other))):
        cause = f'is already in use by container "{other[:12]}"'
        raise ConflictError(f'the container name "{name}"', cause, f"tinybox rm {name}, or another --name")
    discard(link)
    return link


def release(paths: Paths, container: str, hint: str = "") -> None:
    """Release the container's name, also in RUN; see unlink(2). *hint* is a former name of it, which it may still have.

    Under the same lock its config.json is removed: it can then neither be renamed nor started while its other files
    are removed.
    """
    lock = _lock(paths)
    try:
        discard(os.path.join(paths.bundle(container), "config.json"))
        for folder in (paths.names, paths.run):
            for name in of(paths, container, folder, hint):
                discard(os.path.join(folder, name))
    finally:
        os.close(lock)


def show(paths: Paths, container: str, hint: str = "") -> None:
    """Make the link RUN/NAME, which points to RUN/ID, so that users find a running container's files by its name."""
    lock = _lock(paths)
    try:
        _show(paths, container, hint)
    finally:
        os.close(lock)


def _show(paths: Paths, container: str, hint: str = "") -> None:
    for name in of(paths, container, hint=hint):
        link = os.path.join(paths.run, name)
        try:
            os.symlink(container, link)
        except FileExistsError:  # left by a command that was killed
            discard(link)
            os.symlink(container, link)


def _lock(paths: Paths) -> int:
    """Open and lock the directory of names, return its fd; until that is closed, other commands wait: flock(2)."""
    fd = os.open(paths.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lock_file(fd)
    return fd


def hide(paths: Paths, container: str, hint: str = "") -> None:
    """Remove the links that show() has made."""
    for name in of(paths, container, paths.run, hint):
        discard(os.path.join(paths.run, name))


def rename(paths: Paths, container: str, name: str) -> None:
    """Give the container another name by an atomic rename(2): if this process is killed, it has one of the two names.

    StateError if another container has the name, or this one has just been removed.
    """
    lock = _lock(paths)
    try:
        if not os.path.exists(os.path.join(paths.bundle(container), "config.json")):
            raise NoSuchError(f"container {container[:12]}", "no such container", "another command has just removed it")
        former = of(paths, container)
        link = _free(paths, checked(name))
        if former:
            os.rename(os.path.join(paths.names, former[0]), link)
        else:
            os.symlink(container, link)
        hide(paths, container)
        if os.path.isdir(paths.run_directory(container)):
            _show(paths, container)
    finally:
        os.close(lock)


def every(paths: Paths) -> dict[str, str]:
    """Return all containers that have a name, as a dict from id to name."""
    return by_container(links(paths, {}))


def by_container(found: Mapping[str, Link]) -> dict[str, str]:
    """Return the *found* links as a dict from id to name."""
    return {container: name for name, (_, container) in found.items()}


def links(paths: Paths, known: Mapping[str, Link]) -> dict[str, Link]:
    """Return the link of each name; one that is in *known* with the same inode is not read again.

    A symbolic link cannot be changed, only replaced by one with another inode. An inode is used again when its link is
    gone, so what is *known* may be wrong of a name that was removed and given to another container in the meantime.
    """
    try:
        fd = os.open(paths.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    try:
        found = {entry.name: entry.inode() for entry in os.scandir(fd) if entry.is_symlink()}
        unknown: Link = (0, "")
        return {
            name: link if (link := known.get(name, unknown))[0] == inode else (inode, target(name, fd))
            for name, inode in found.items()
        }
    finally:
        os.close(fd)


def of(paths: Paths, container: str, folder: str = "", hint: str = "") -> list[str]:
    """Return a container's names: one, none, or two during a rename; a *hint* that is true saves the search."""
    folder = folder or paths.names
    if hint and target(os.path.join(folder, hint)) == container:
        return [hint]
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_symlink() and target(entry.path) == container]
    except FileNotFoundError:
        return []


def find(paths: Paths, word: str) -> str:
    """Return the id of the container whose name, id or beginning of an id is *word*; StateError if there is none.

    A name may have a leading slash, as `inspect` prints it.
    """
    word = word.removeprefix("/")
    named = target(os.path.join(paths.names, word)) if word and "/" not in word else ""
    if named and (os.path.isdir(paths.bundle(named)) or os.path.isdir(paths.run_directory(named))):
        return named
    found = [
        container for container in {*paths.stored(), *paths.with_run_directory()} if word and container.startswith(word)
    ]
    if len(found) == 1:
        return found[0]
    thing, cure = f"container {word}", "tinybox ps -a lists them"
    if found:
        raise StateError(thing, "more than one id begins with it", cure)
    raise NoSuchError(thing, NO_SUCH, cure).meant(word, lambda: os.listdir(paths.names))


def target(link: str, dir_fd: int | None = None) -> str:
    """Return the target of a symbolic link, or "" if there is no such link; see readlink(2)."""
    try:
        return os.readlink(link, dir_fd=dir_fd)
    except OSError:
        return ""
