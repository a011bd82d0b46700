"""A run with `--omit` or `--chroot`: emit warnings before the run, and what was measured in the box afterwards."""

from __future__ import annotations

from tinybox.container.planning.omissions import CHROOT, OMISSIONS, WARNS_OF_CHROOT
from tinybox.seeing import findings, snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INIT = "init"
HOST = "host"
_PAUSE = 0.05  # seconds between two checks for zombies: the kernel notifies only PID 1 of them, so tinybox must poll


class Omitted:
    """The names of the omitted mechanisms, and the measurement of each."""

    def __init__(self, names: Sequence[str], *, chroot: bool) -> None:
        self.names = [*names, *[CHROOT] * chroot]
        self.init = findings.Init() if INIT in names else None
        self.patience = _PAUSE if self.init else None
        self._host: dict[str, str] = {}

    def before(self, emit: Callable[..., None]) -> None:
        """Emit a warning of what will go wrong for each name, and record the host's mounts."""
        self._host = snapshot.mounts("self")
        for name in self.names:
            emit("warning", omitted=name, says=OMISSIONS[name].warns if name in OMISSIONS else WARNS_OF_CHROOT)

    def look(self, pid: int) -> None:
        """Count the zombies among the children of the box's PID 1."""
        if self.init:
            self.init.look(pid)

    def measure(self, emit: Callable[..., None], parent: int, child: int) -> None:
        """Measure, while the box waits, what is wrong in it, and emit a sentence for each name."""
        for name in self.names:
            finding = findings.measured(name, findings.ProcessPair(parent, child))
            if finding:
                emit("found", omitted=name, says=finding)

    def note_escape(self, emit: Callable[..., None], found: str) -> None:
        """Emit whether the climb out of chroot(2) has succeeded."""
        emit("found", omitted=CHROOT, says=findings.escaped(found))

    def after(self, emit: Callable[..., None]) -> None:
        """Emit the number of zombies, and whether the host's mounts are the same as before."""
        if self.init:
            emit("found", omitted=INIT, says=str(self.init))
        emit("found", omitted=HOST, says=findings.host_is_whole(self._host, snapshot.mounts("self")))
