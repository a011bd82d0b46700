"""Names of boxes: in a user-defined network, boxes find one another by lines that tinybox keeps in their /etc/hosts.

Each box has a block of lines in its own file (BUNDLE/hosts), between two marks; text outside of the marks is the box's
own. A resolver reads /etc/hosts again for each query, so boxes that already run find a box that starts later.

One process at a time writes these files, for all processes that wait: see `HostsLock`.
"""

from __future__ import annotations

import os
import sys
import time

from tinybox.container.network import BRIDGE
from tinybox.container.network.neighbours import Neighbours, RunningBox, running
from tinybox.container.records import spec
from tinybox.container.storage import etc
from tinybox.errors import UnfitFileError, report
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Self

    from tinybox.container.records.paths import Paths

BEGIN, END = "# tinybox: this box and those beside it", "# tinybox: end"
MOST = 1 << 20  # bytes; a box may write to its own file, so tinybox does not read a larger one
NOTES = "hosts"  # in ROOT/cache


class HostsLock:
    """The lock on the hosts files of all boxes of a store, on its run directory; see flock(2).

    ROOT/cache/hosts says when the records of each network were last read, and all of its hosts files then written. A
    process changes its record first, then waits for the lock. If the file has a later time, the holder before it has
    written this change, too. So of 200 boxes that end at once, most have nothing to write. The times are of
    CLOCK_MONOTONIC, in nanoseconds; one in the future is from before a reboot. Without that file (it is damaged, or the
    disk is full) each process writes.
    """

    def __init__(self, paths: Paths) -> None:
        self._run, self._path = paths.run, os.path.join(paths.cache, NOTES)
        self._fd = -1
        self._read: dict[str, int] = {}

    def __enter__(self) -> Self:
        os.makedirs(self._run, 0o700, exist_ok=True)
        self._fd = os.open(self._run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock_file(self._fd)
        try:
            found = json.loads(files.content(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC), MOST).decode())
        except (OSError, ValueError):
            found = {}
        now = time.monotonic_ns()
        if isinstance(found, dict):
            self._read = {name: when for name, when in found.items() if isinstance(when, int) and when < now}
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def covers(self, networks: Iterable[str], changed: int) -> bool:
        """Return whether the files of all *networks* have been written from records that were read after *changed*."""
        return all(self._read.get(name, -1) > changed for name in networks)

    def note(self, networks: Iterable[str], known: Collection[str], read: int) -> None:
        """Note that the records of *networks* were read at *read*; of other networks, only those *known* are kept."""
        kept = {name: when for name, when in self._read.items() if name in known}
        data = json.dumps(kept | dict.fromkeys(networks, read)).encode()
        try:
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            files.replace(self._path, data)
        except OSError:
            return


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
        _write_all(paths, [own], Neighbours(), own.id)


def refresh(paths: Paths, touched: Iterable[str], container: str = "") -> None:
    """Update the hosts files of all boxes in the networks *touched*, and that of *container* in any case.

    The caller has changed the records before. A box may hold a lease on its own file: no process waits for that, see
    `etc.change`, so that other commands can wait for this one.
    """
    wanted = set(touched) - {BRIDGE}
    if not wanted and not container:
        return
    changed = time.monotonic_ns()
    with HostsLock(paths) as lock:
        is_done = lock.covers(wanted, changed)
        if is_done and not container:
            return
        read = time.monotonic_ns()
        every = Neighbours(running(paths))
        fresh = [each for each in every.members if each.id == container or (each.networks & wanted and not is_done)]
        if _write_all(paths, fresh, every, container) and not is_done:
            lock.note(wanted, {name for each in every.members for name in each.networks}, read)


def _write_all(paths: Paths, fresh: Sequence[RunningBox], every: Neighbours, own: str) -> bool:
    """Write the hosts files of the boxes *fresh*; return whether each is written, or cannot be because of its box.

    If a box has made its own file unfit (a lease, a device), a warning is printed and only that file is left out.
    OSError is raised if the file of the box *own* cannot be written for another reason.
    """
    is_whole = True
    for member in fresh:
        try:
            _rewrite(paths, member, every)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the box has just been removed
        except (UnfitFileError, OSError) as error:
            is_whole = is_whole and isinstance(error, UnfitFileError)
            if member.id == own and isinstance(error, OSError):
                raise
            cause = error.cause if isinstance(error, UnfitFileError) else error.strerror
            box = f"container {member.name or member.id[:12]}"
            report(f"warning: {box}: its /etc/hosts stays as it is: {cause}")
            sys.stderr.flush()
    return is_whole


def _rewrite(paths: Paths, member: RunningBox, every: Neighbours) -> None:
    """Put the block of lines of *member* into its hosts file: its own names, and those of its neighbours."""
    own = etc.host_names(paths.bundle(member.id))
    lines = every.lines(member, own)
    # A file without text: the box mounts its own file, or shares another box's, or has ruined this one.
    etc.change(os.path.join(paths.bundle(member.id), etc.HOSTS), lambda text: text and placed(text, lines), MOST)


def _append(path: str, more: Sequence[str]) -> None:
    lines = "".join(f"{line}\n" for line in more)
    etc.change(path, lambda text: text + lines if text and BEGIN not in text else text, MOST)


def placed(text: str, lines: str) -> str:
    """Return *text* with the block of *lines* between its marks, in place of a former block, or at the end."""
    before, mark, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(f"{END}\n")[2] if mark else ""
    if before and not before.endswith("\n"):
        before += "\n"
    return before + (f"{BEGIN}\n{lines}{END}\n" if lines else "") + after
