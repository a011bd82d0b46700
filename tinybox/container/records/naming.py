"""Names: how a container gets one, keeps it alone, and is found by it.

A name is a link in ROOT/container-names that points to an id. To make a link is one step, so of two who want the same
name one gets it; and the link is the only place where the name is written down, so it cannot be wrong elsewhere.
"""

from __future__ import annotations

import os

from tinybox.errors import StateError, UsageError
from tinybox.linux.files import discard
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

_MOODS = (
    "able agile amber apt bold brave breezy bright brisk calm clear clever crisp deft eager early earnest fair "
    "fleet fond frank fresh gentle glad golden happy hardy honest jolly keen kind lively lucid lucky mellow merry "
    "mild neat nimble noble patient placid plain polite proud quick quiet ready rosy silent sincere smart snug "
    "sober steady still sunny sure swift tidy true trusty vivid warm wise witty young zesty"
).split()
_PEOPLE = (  # who made the machines, the kernels and the ideas that a container is made of
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
    """Return a name such as ``brisk_ritchie``, with a few digits so that thousands do not collide."""
    mood, person, number = (int.from_bytes(os.urandom(4), "little") for _ in range(3))
    return f"{_MOODS[mood % len(_MOODS)]}_{_PEOPLE[person % len(_PEOPLE)]}{number % 1000:03}"


def checked(name: str) -> str:
    """Return *name* if docker would take it: a letter or digit, then letters, digits and ``_.-``; else UsageError."""
    if not is_allowed(name):
        raise UsageError(f"container name {name!r}", "is not allowed", "use [a-zA-Z0-9][a-zA-Z0-9_.-] and what follows")
    return name


def is_allowed(name: str) -> bool:
    """Tell whether docker would take *name* for a container or a volume."""
    return len(name) > 1 and name[0] in _FIRST and _LATER.issuperset(name)


def reserve(paths: Paths, name: str, container: str) -> None:
    """Take *name* for *container*, a link made in one step; StateError if another container has it; see symlink(2)."""
    alone = _alone(paths)
    try:
        os.symlink(container, _free(paths, name))
    finally:
        os.close(alone)


def _free(paths: Paths, name: str) -> str:
    """Return where the link for *name* will be; StateError if a container has it. One that leads nowhere goes."""
    link = os.path.join(paths.names, name)
    other = target(link)
    if other and (os.path.exists(paths.bundle(other)) or os.path.exists(paths.run_directory(other))):
        cause = f'is already in use by container "{other[:12]}"'
        raise StateError(f'the container name "{name}"', cause, f"tinybox rm {name}, or another --name")
    discard(link)
    return link


def release(paths: Paths, container: str, hint: str = "") -> None:
    """Give the container's name back; see unlink(2). *hint* is the name that it once had, and may have still.

    Its config.json goes in the same moment: so it can neither be renamed nor started while the rest of it is removed.
    """
    alone = _alone(paths)
    try:
        discard(os.path.join(paths.bundle(container), "config.json"))
        for folder in (paths.names, paths.run):
            for name in of(paths, container, folder, hint):
                discard(os.path.join(folder, name))
    finally:
        os.close(alone)


def show(paths: Paths, container: str, hint: str = "") -> None:
    """Let people find what is alive by its name: RUN/NAME becomes a link to RUN/ID."""
    alone = _alone(paths)
    try:
        _show(paths, container, hint)
    finally:
        os.close(alone)


def _show(paths: Paths, container: str, hint: str = "") -> None:
    for name in of(paths, container, hint=hint):
        link = os.path.join(paths.run, name)
        discard(link)
        os.symlink(container, link)


def _alone(paths: Paths) -> int:
    """Return the open directory of names; until it is closed, nobody else renames anything; see flock(2)."""
    fd = os.open(paths.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lock_file(fd)
    return fd


def hide(paths: Paths, container: str, hint: str = "") -> None:
    """Remove the links that `show` has made."""
    for name in of(paths, container, paths.run, hint):
        discard(os.path.join(paths.run, name))


def rename(paths: Paths, container: str, name: str) -> None:
    """Give the container another name, in one step: whoever is killed here leaves it with one; see rename(2)."""
    alone = _alone(paths)
    try:
        if not os.path.exists(os.path.join(paths.bundle(container), "config.json")):
            raise StateError(f"container {container[:12]}", "no such container", "another command has just removed it")
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
        os.close(alone)


def every(paths: Paths, folder: str = "") -> dict[str, str]:
    """Return all containers that have a name, id to name."""
    folder = folder or paths.names
    try:
        return {target(entry.path): entry.name for entry in os.scandir(folder) if entry.is_symlink()}
    except FileNotFoundError:
        return {}


def of(paths: Paths, container: str, folder: str = "", hint: str = "") -> list[str]:
    """Return the names of one container: one, none, or for a moment of a rename two; a true *hint* saves the search."""
    folder = folder or paths.names
    if hint and target(os.path.join(folder, hint)) == container:
        return [hint]
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_symlink() and target(entry.path) == container]
    except FileNotFoundError:
        return []


def find(paths: Paths, word: str) -> str:
    """Return the id of the container that *word* means: a name, an id, or the beginning of one; else StateError.

    A name may have a slash before it, as `inspect` shows it.
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
    cause = "more than one id begins so" if found else NO_SUCH
    raise StateError(f"container {word}", cause, "tinybox ps -a lists them")


def target(link: str) -> str:
    """Return what a symbolic link points to, or nothing; see readlink(2)."""
    try:
        return os.readlink(link)
    except OSError:
        return ""
