"""Names of boxes: in a user-defined network, boxes find one another by lines that tinybox keeps in their /etc/hosts.

Each box has a block of lines in its own file (BUNDLE/hosts), between two marks; text outside of the marks is the box's
own. A resolver reads /etc/hosts again for each query, so boxes that already run find a box that starts later.
"""

from __future__ import annotations

import fcntl
import os
import sys

from tinybox.container.network import BRIDGE, addresses, definitions
from tinybox.container.records import naming, spec
from tinybox.container.storage import etc
from tinybox.errors import UnfitFileError, report
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinybox.container.network.addresses import Endpoint
    from tinybox.container.records.paths import Paths

BEGIN, END = "# tinybox: this box and those beside it", "# tinybox: end"
SHORT = 12  # digits of an id that are enough for a link
_ROUNDS = 8  # at most: each one after the first means that a box has started or ended while the files were written
MOST = 1 << 20  # bytes; a box may write to its own file, so tinybox does not read a larger one


class RunningBox:
    """A running box: its id, its name, its endpoints, and the user-defined networks that it is in."""

    def __init__(self, paths: Paths, container: str, name: str) -> None:
        self.id, self.name = container, name
        self.endpoints = addresses.endpoints(paths, container)
        self.networks = {endpoint.network for endpoint in self.endpoints if endpoint.network != BRIDGE}

    def names(self, endpoint: Endpoint) -> list[str]:
        """Return the names of this box for other boxes in the network of *endpoint*: name, aliases, short id."""
        return list(dict.fromkeys([self.name, *endpoint.aliases, self.id[:12]]))

    def linked(self, links: Sequence[str]) -> list[str]:
        """Return the names of this box among *links*, ``CONTAINER:NAME`` of another box, which that box alone uses."""
        pairs = (link.partition(":")[::2] for link in links)
        return [
            name
            for container, name in pairs
            if container == self.name or (len(container) >= SHORT and self.id.startswith(container))
        ]


def announce(paths: Paths, container: str, annotations: Mapping[str, str]) -> None:
    """Write the addresses of *container* into its own hosts file, and its names into those of its neighbours."""
    own = RunningBox(paths, container, "")
    known = json.loads(annotations.get(spec.NAMES) or "{}")
    gateway = next((endpoint.gateway for endpoint in own.endpoints), "")
    if own.endpoints and (host := etc.behind(known, gateway)):
        _append(os.path.join(paths.bundle(container), etc.HOSTS), host)
    if own.networks:
        refresh(paths, own.networks, container)
    elif own.endpoints:
        _write_all(paths, [own], [], own.id)


def refresh(paths: Paths, touched: Iterable[str], container: str = "") -> None:
    """Update the hosts files of all boxes in the networks *touched*, and that of *container* in any case.

    A box can make tinybox wait at the box's own file (a lease), so no file is opened under a lock that other commands
    wait for. Instead each process that has written reads the networks again, until nothing has changed:
    `_rewrite_alone`.
    """
    wanted = set(touched) - {BRIDGE}
    if not wanted and not container:
        return
    written: dict[str, list[str]] = {}
    for _ in range(_ROUNDS):
        with definitions.NetworksLock(paths):
            names = naming.every(paths)
            members = [RunningBox(paths, each, names.get(each, "")) for each in paths.with_run_directory()]
        affected = [member for member in members if member.id == container or member.networks & wanted]
        known = {member.id: lines(member, [], members) for member in affected}
        fresh = [member for member in affected if written.get(member.id) != known[member.id]]
        if not fresh:
            return
        _write_all(paths, fresh, members, container)
        written |= known


def _write_all(paths: Paths, fresh: Sequence[RunningBox], members: Sequence[RunningBox], own: str) -> None:
    """Write the hosts files of the boxes *fresh*.

    If a box has made its own file unfit (a lease, a device), a warning is printed and only that file is left out.
    OSError is raised if the file of the box *own* cannot be written for another reason.
    """
    for member in fresh:
        try:
            _rewrite_alone(paths, member, members, wait=member.id == own)
        except (FileNotFoundError, NotADirectoryError, BlockingIOError):
            continue  # the box has just been removed, or another process writes the file and will read again
        except (UnfitFileError, OSError) as error:
            if member.id == own and isinstance(error, OSError):
                raise
            cause = error.cause if isinstance(error, UnfitFileError) else error.strerror
            box = f"container {member.name or member.id[:12]}"
            report(f"warning: {box}: its /etc/hosts stays as it is: {cause}")
            sys.stderr.flush()


def _rewrite_alone(paths: Paths, member: RunningBox, members: Sequence[RunningBox], *, wait: bool) -> None:
    """Rewrite the file of *member* under its lock; BlockingIOError if another process has the lock; see flock(2).

    With *wait*, wait for the lock instead. The other process reads the networks again after it has released the lock,
    so it will write the change that this process wanted to write.
    """
    fd = os.open(paths.bundle(member.id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        _rewrite(paths, member, members)
    finally:
        os.close(fd)


def _rewrite(paths: Paths, member: RunningBox, members: Sequence[RunningBox]) -> None:
    """Put the block of lines of *member* into its hosts file: its own names, and those of its neighbours."""
    path = os.path.join(paths.bundle(member.id), etc.HOSTS)
    own = etc.host_names(paths.bundle(member.id))
    text = etc.read(path)
    if text and len(text) < MOST:  # else the box mounts its own file, or shares another box's, or has ruined this one
        etc.put(path, placed(text, lines(member, own, members)))


def _append(path: str, more: Sequence[str]) -> None:
    text = etc.read(path)
    if text and BEGIN not in text:
        etc.put(path, text + "".join(f"{line}\n" for line in more))


def lines(member: RunningBox, own: Sequence[str], members: Sequence[RunningBox]) -> list[str]:
    """Return the lines for *member* itself, with its *own* host names, and for the boxes that share a network with it.

    These are its user-defined networks: in the default network, boxes have no names for one another.
    """
    found = []
    for endpoint in member.endpoints:
        named = endpoint.network != BRIDGE
        found += _lines(endpoint, [*own, *(member.names(endpoint) if named else [])])
        for other in members if named else ():
            if other.id != member.id:
                for place in other.endpoints:
                    if place.id == endpoint.id:
                        found += _lines(place, [*other.names(place), *other.linked(endpoint.links)])
    return found


def _lines(endpoint: Endpoint, names: Iterable[str]) -> list[str]:
    words = " ".join(dict.fromkeys(name for name in names if name))
    places = [place.partition("/")[0] for place in (endpoint.address, endpoint.address6) if place]
    return [f"{place}\t{words}" for place in places]


def placed(text: str, block: Sequence[str]) -> str:
    """Return *text* with the *block* between its marks, in place of a former block, or at the end."""
    before, mark, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(f"{END}\n")[2] if mark else ""
    if before and not before.endswith("\n"):
        before += "\n"
    ours = "".join(f"{line}\n" for line in (BEGIN, *block, END)) if block else ""
    return before + ours + after
