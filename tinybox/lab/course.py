"""Labs and their controls: find a lab by name, run it and its control, and judge both by their claims.

A control is the same check without the feature, and must have another result. A claim that holds with and without the
feature proves nothing about the feature. So a lab counts only together with its control.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import TinyboxError, UsageError
from tinybox.lab import catalogue
from tinybox.lab.bench import Bench, Inconclusive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType
    from typing import Protocol

    from tinybox.lab.bench import Claim, Evidence
    from tinybox.pictures.series import Picture

    class Check(Protocol):
        """The function that measures: with the feature, or for the control without it."""

        def __call__(self, bench: Bench, *, feature: bool) -> None:
            """Measure, note evidence, and claim."""


PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
DEADLINE = 150.0  # seconds for one lab; most need less than one, but an emulated machine is twenty times slower

# The order of the lectures. A lab exists if it has a file in the catalogue.
ORDER = (
    "pid pid-max argv stdio cpu workers states exit proc deadlock livelock posix nohup exec fork lock orphan zombie"
    " daemon ipc-pipe ipc-signal ipc-mq ipc-shm ipc-sem ipc-socket syscall fd epoll mmap cow-fork cow-overlay layers"
    " cgroup-memory cgroup-cpu cgroup-pids namespaces signals kill9 sendfile wait sigchld pstree pid1 init"
    " rootless escape-chroot propagation checkpoint build-cache"
).split()


class Lab(NamedTuple):
    """One demonstration: *control* is a sentence about what the control removes, *check* measures."""

    question: str
    answer: str
    control: str
    check: Check


class Result(NamedTuple):
    """The result of one check; *broken* if it could not be done at all, so that it proves nothing."""

    verdict: str
    reason: str
    claims: list[Claim]
    evidence: list[Evidence]
    seconds: float
    broken: bool = False
    pictures: Sequence[Picture] = ()


class Pair(NamedTuple):
    """A lab's result and its control's."""

    lab: Result
    control: Result

    @property
    def verdict(self) -> str:
        """FAIL if the lab fails, or its control passes or is broken; INCONCLUSIVE if one of the two is; else PASS."""
        if self.lab.verdict == FAIL or self.control.verdict == PASS or self.control.broken:
            return FAIL
        return INCONCLUSIVE if INCONCLUSIVE in (self.lab.verdict, self.control.verdict) else PASS

    @property
    def reason(self) -> str:
        """The reason why the verdict is not PASS; empty if it is."""
        if self.lab.verdict != PASS:
            return self.lab.reason
        if self.control.verdict == PASS:
            return "the control agrees: the lab would not notice if the feature were missing"
        broken = self.control.broken or self.control.verdict == INCONCLUSIVE
        return f"control: {self.control.reason}" if broken else ""


def ids() -> list[str]:
    """Return the names of all labs, in the order of the lectures."""
    files = [name for name in os.listdir(*catalogue.__path__) if name.endswith(".py") and not name.startswith("_")]
    names = [name.removesuffix(".py").replace("_", "-") for name in files]
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def subject(name: str) -> str:
    """Return the first line of a lab's docstring, without importing the lab."""
    with open(_path(name), encoding="utf-8") as file:
        return file.readline().strip().removeprefix('"""').rstrip(".")


def load(name: str) -> Lab:
    """Import one lab; UsageError if there is none of that name."""
    _path(name)
    lab: Lab = importlib.import_module(f"{catalogue.__name__}.{_module(name)}").LAB
    return lab


def description(name: str) -> str:
    """Return a lab's docstring below its first line: the idea, to be read aloud."""
    _path(name)
    text = importlib.import_module(f"{catalogue.__name__}.{_module(name)}").__doc__ or ""
    return " ".join(text.partition("\n")[2].split())


def _module(name: str) -> str:
    return name.replace("-", "_")


def _path(name: str) -> str:
    path = os.path.join(*catalogue.__path__, f"{_module(name)}.py")
    if name not in ids():
        raise UsageError(f"lab {name}", "there is no such lab", "tinybox lab list")
    return path


def conduct(lab: Lab, *, feature: bool = True, image: str = "alpine", seed: int = 0) -> Result:
    """Run one check, with or without the feature, and judge it by its claims."""
    bench, began = Bench(image, seed), time.monotonic()
    verdict, reason, broken = FAIL, "", False
    try:
        with bench, _deadline(DEADLINE):
            lab.check(bench, feature=feature)
    except Inconclusive as error:
        verdict, reason = INCONCLUSIVE, str(error)
    except (TinyboxError, OSError) as error:
        reason, broken = f"it could not be done: {error}", True
    except Exception as error:  # noqa: BLE001  after a mistake in one lab the others must still be done
        reason, broken = f"it has a mistake: {type(error).__name__}: {error}", True
    else:
        refuted = [claim.sentence for claim in bench.claims if not claim.holds]
        broken = not bench.claims
        verdict = FAIL if refuted or broken else PASS
        reason = "it claims nothing" if broken else f"not true: {refuted[0]}" if refuted else ""
    seconds = time.monotonic() - began
    return Result(verdict, reason, bench.claims, bench.evidence, seconds, broken, bench.pictures)


def conduct_both(lab: Lab, *, image: str = "alpine", seed: int = 0) -> Pair:
    """Run a lab and its control."""
    return Pair(conduct(lab, image=image, seed=seed), conduct(lab, feature=False, image=image, seed=seed))


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError if the body of the ``with`` takes longer than *seconds*; see setitimer(2)."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {seconds:.0f} s")

    former = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def chosen(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of labs in *arguments*; ``all`` stands for all labs."""
    for argument in arguments:
        yield from ids() if argument == "all" else [argument]
