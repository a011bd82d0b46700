"""A run with something left out: what it warns of before, and what it finds in the box, afterwards."""

from __future__ import annotations

from tinybox.container.planning.omissions import CHROOT, OMISSIONS, WARNS_OF_CHROOT
from tinybox.seeing import findings, snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INIT = "init"
HOST = "host"
_PAUSE = 0.05  # seconds between two looks for zombies, of which the kernel tells nobody but PID 1


class Omitted:
    """The names of what is left out, and what was measured of each."""

    def __init__(self, names: Sequence[str], *, chroot: bool) -> None:
        self.names = [*names, *[CHROOT] * chroot]
        self.init = findings.Init() if INIT in names else None
        self.patience = _PAUSE if self.init else None
        self._host: dict[str, str] = {}

    def before(self, emit: Callable[..., None]) -> None:
        """Say what will go wrong, and remember how the host is."""
        self._host = snapshot.mounts("self")
        for name in self.names:
            emit("warning", omitted=name, says=OMISSIONS[name].warns if name in OMISSIONS else WARNS_OF_CHROOT)

    def look(self, pid: int) -> None:
        """Look for zombies among the children of the box's PID 1."""
        if self.init:
            self.init.look(pid)

    def measure(self, emit: Callable[..., None], parent: int, child: int) -> None:
        """Measure, while the box waits, what is wrong in it."""
        for name in self.names:
            said = findings.measured(name, findings.ProcessPair(parent, child))
            if said:
                emit("found", omitted=name, says=said)

    def note_escape(self, emit: Callable[..., None], found: str) -> None:
        """Say whether the climb out of chroot(2) has succeeded."""
        emit("found", omitted=CHROOT, says=findings.escaped(found))

    def after(self, emit: Callable[..., None]) -> None:
        """Say what was seen until the end, and that the host is whole."""
        if self.init:
            emit("found", omitted=INIT, says=str(self.init))
        emit("found", omitted=HOST, says=findings.host_is_whole(self._host, snapshot.mounts("self")))
