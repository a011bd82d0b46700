"""The bench: makes a lab's boxes and processes, waits for facts, and collects the lab's evidence and claims.

A lab never waits for a fixed time; it waits until a fact is true, and fails if that takes too long.
"""

from __future__ import annotations

import contextlib
import random
import resource
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tinybox.errors import HostError, TinyboxError
from tinybox.lab import box as boxes
from tinybox.lab import guest as processes
from tinybox.linux import capability, user_namespaces
from tinybox.linux.filesystem import files
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Self

    from tinybox.lab.box import Box
    from tinybox.lab.guest import Guest
    from tinybox.pictures.series import Picture

T = TypeVar("T")

PATIENCE = 50.0  # seconds that a fact may take; an emulated machine is twenty times slower than a real one
FAIR = 0.9  # of a CPU, for one busy process alone: if it gets less, other programs use the CPU


class Inconclusive(Exception):  # noqa: N818  it is no error: the machine did not allow a fair measurement
    """The machine does not allow this measurement; the text of the exception is the reason."""


class Evidence(NamedTuple):
    """One figure: its side (host, box, or empty for neither), name and value, and the file or call it came from."""

    side: str
    figure: str
    value: str
    source: str


class Claim(NamedTuple):
    """One sentence, and whether it holds."""

    sentence: str
    holds: bool


class TextError(NamedTuple):
    """A sentence of a text that the lectures follow, what was measured instead, and whether that refutes the text."""

    said: str
    measured: str
    refuted: bool


class Bench:
    """The bench of one run of a check; *seed* fixes the random numbers that the check draws.

    If it *holds*, boxes and processes live until the bench is closed, and not only until the end of their ``with``.
    """

    def __init__(self, image: str = "alpine", seed: int = 0, *, holds: bool = False) -> None:
        self.image, self.random, self.holds = image, random.Random(seed), holds
        self.guests: list[Guest] = []
        self.evidence: list[Evidence] = []
        self.claims: list[Claim] = []
        self.text_errors: list[TextError] = []
        self.pictures: list[Picture] = []

    def __enter__(self) -> Self:
        self._open = contextlib.ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # Processes

    @contextlib.contextmanager
    def box(self, *command: Any, **options: Any) -> Iterator[Box]:
        """Keep a box of the lab's image that runs *command*: a program or a function, with its arguments.

        The option *adapt* is called with the container before it is made, and may change its plan.
        """
        image, adapt = options.pop("image", self.image), options.pop("adapt", None)
        one = _started(image, command, {"network": "none", "rm": True, **options}, adapt)
        with self._ending(one):
            yield one

    @contextlib.contextmanager
    def process(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Guest]:
        """Keep a process of the host that runs *function*, in the lab's own namespaces; see fork(2)."""
        one = processes.fork(function, arguments)
        with self._ending(one):
            yield one

    @contextlib.contextmanager
    def _ending(self, one: Guest) -> Iterator[None]:
        """End a box or a process at the end of the ``with``, or when the bench is closed if this bench holds."""
        self.guests.append(one)
        try:
            yield
        finally:
            if self.holds:
                self.closing(one.end)
            else:
                one.end()

    def folder(self) -> str:
        """Return a new directory of the host, removed after the check; not on /tmp, which may be an overlay."""
        folder = tempfile.mkdtemp(prefix="tinybox-lab-", dir="/var/tmp")
        self.closing(lambda: files.remove_tree(folder))
        return folder

    def keep(self, entered: AbstractContextManager[T]) -> T:
        """Enter a context, such as a process, and leave it when the check ends; return what it yields."""
        return self._open.enter_context(entered)

    def closing(self, act: Callable[[], object]) -> None:
        """Call *act* when the check ends, in whatever way: for objects that have no ``with`` of their own."""
        self._open.callback(act)

    # Waiting

    def comes(self, fact: Callable[[], T], seconds: float = PATIENCE) -> T | None:
        """Call *fact* until it returns something true, and return that; None after so many *seconds*."""
        return until(fact, time.monotonic() + seconds, 0.001) or None

    def until(self, fact: Callable[[], T], what: str = "a fact", seconds: float = PATIENCE) -> T:
        """Call *fact* until it returns something true, and return that; TinyboxError after so many *seconds*."""
        seen = self.comes(fact, seconds)
        if seen is None:
            raise TinyboxError(what, f"has not come in {seconds:.0f} s")
        return seen

    # Evidence and claims

    def on_host(self, figure: str, value: T, source: str) -> T:
        """Note a value that was read on the host, and return it."""
        return self._note("host", figure, value, source)

    def in_box(self, figure: str, value: T, source: str) -> T:
        """Note a value that was read inside the box, and return it."""
        return self._note("box", figure, value, source)

    def saw(self, figure: str, value: T, source: str) -> T:
        """Note a value that belongs to neither side, and return it."""
        return self._note("", figure, value, source)

    def _note(self, side: str, figure: str, value: T, source: str) -> T:
        self.evidence.append(Evidence(side, figure, " ".join(str(value).split()), source))
        return value

    def draw(self, picture: Picture) -> None:
        """Note figures that belong into one picture, such as a curve; only `lab run --html` draws it."""
        self.pictures.append(picture)

    def claim(self, sentence: str, holds: object) -> None:
        """Note a claim: a *sentence*, and whether it *holds*."""
        self.claims.append(Claim(sentence, bool(holds)))

    def text_says(self, said: str, measured: str, *, refuted: object) -> None:
        """Note a mistake of the texts: the sentence that they *said*, and what was *measured*; one line each.

        If the measurement does not refute the text, the lab fails. A control is not judged by it.
        """
        self.text_errors.append(TextError(said, " ".join(measured.split()), bool(refuted)))

    def need(self, fact: object, reason: str) -> None:
        """Raise Inconclusive with this *reason*, unless *fact* is true."""
        if not fact:
            raise Inconclusive(reason)

    def descriptors(self, number: int) -> dict[str, list[str]]:
        """Return the option of a box whose program may have *number* descriptors; see RLIMIT_NOFILE in getrlimit(2).

        Inconclusive: the hard limit is lower here, and this process may not raise it.
        """
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        may_raise = capability.capget()[0] & capability.mask(["CAP_SYS_RESOURCE"]) and not user_namespaces.is_rootless()
        self.need(
            may_raise or number <= most or most == resource.RLIM_INFINITY,
            f"a process may open {most} files here (hard limit, ulimit -Hn), and the lab needs {number}",
        )
        return {"ulimit": [f"nofile={number}:{number}"]}

    def need_fair(self) -> None:
        """Raise Inconclusive if one busy process alone gets less than 0.9 of a CPU."""
        with self.process(_solo_share, 0.15) as lonely:
            share = self.on_host(
                "CPUs for one busy process alone", lonely.receive(), "getrusage(2) over clock_gettime(2)"
            )
        self.need(share >= FAIR, f"a starved CPU: one busy process alone got {share:.2f} of it, and needs {FAIR}")


def _started(image: str, command: tuple[Any, ...], options: dict[str, Any], adapt: Any) -> Box:
    """Start a box; Inconclusive: it needs an option, such as a limit, that a user without root may not use."""
    try:
        return boxes.start(image, command, options, adapt)
    except HostError as error:
        if user_namespaces.is_rootless() and str(error).startswith(("linux.resources.", "--")):
            raise Inconclusive(f"it needs root, or a limit: {error}") from error
        raise


def _solo_share(seconds: float) -> float:
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() < began + seconds:
        continue
    return round((time.process_time() - used) / (time.monotonic() - began), 2)
