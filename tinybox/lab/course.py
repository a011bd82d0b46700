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

from tinybox.errors import TinyboxError, UsageError, printable
from tinybox.lab import catalogue, lectures, own_folders
from tinybox.lab.bench import Bench, Inconclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, ModuleType
    from typing import Protocol

    from tinybox.lab.bench import Claim, Evidence, TextError
    from tinybox.lab.guest import Guest
    from tinybox.pictures.series import Picture

    Held = Callable[["Result", list[Guest]], None]

    class Check(Protocol):
        """The function that measures: with the feature, or for the control without it."""

        def __call__(self, bench: Bench, *, feature: bool) -> None:
            """Measure, note evidence, and claim."""


PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
DEADLINE = 150.0  # seconds for one lab; most need less than one, but an emulated machine is twenty times slower


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
    text_errors: tuple[TextError, ...] = ()
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
    """Return the names of all labs: the package's in the order of the lectures, then one's own."""
    return list(_files())


def subject(name: str) -> str:
    """Return the first line of a lab's docstring, without importing the lab."""
    with open(_path(name), encoding="utf-8", errors="replace") as file:
        return printable(file.readline().strip().strip('"').rstrip("."))


def load(name: str) -> Lab:
    """Import one lab; UsageError if there is none of that name, or if a file of one's own is not a lab."""
    module = _module(name)
    lab = getattr(module, "LAB", None)
    if not isinstance(lab, Lab):
        raise UsageError(_path(name), "it has no LAB, a tinybox.lab.course.Lab", "see docs/writing-labs.md")
    return lab


def description(name: str) -> str:
    """Return a lab's docstring below its first line: the idea, to be read aloud."""
    text = _module(name).__doc__ or ""
    return " ".join(text.partition("\n")[2].split())


def _module(name: str) -> ModuleType:
    path = _path(name)
    if os.path.dirname(path) in catalogue.__path__:
        return importlib.import_module(f"{catalogue.__name__}.{name.replace('-', '_')}")
    return own_folders.load(path)


def _files() -> dict[str, str]:
    """Return the name and the path of every lab: a file of the catalogue, or one in a directory of one's own."""
    (folder,) = catalogue.__path__
    files = [file for file in os.listdir(folder) if file.endswith(".py") and not file.startswith("_")]
    paths = {file.removesuffix(".py").replace("_", "-"): os.path.join(folder, file) for file in files}
    order = {name: place for place, name in enumerate(lectures.ORDER)}
    names = sorted(paths, key=lambda name: (order.get(name, len(order)), name))
    return {**{name: paths[name] for name in names}, **own_folders.files(taken=paths)}


def _path(name: str) -> str:
    path = _files().get(name)
    if path is None:
        raise UsageError(f"lab {name}", "there is no such lab", "tinybox lab list").meant(name, ids)
    return path


def conduct(
    lab: Lab, *, feature: bool = True, image: str = "alpine", seed: int = 0, held: Held | None = None
) -> Result:
    """Run one check, with or without the feature, and judge it by its claims.

    *held*, if given, is called with the result, and with the boxes and processes that still live. They live until it
    returns.
    """
    bench = Bench(image, seed, holds=held is not None)
    with bench:
        result = _judged(lab, bench, feature=feature)
        if held is not None:
            held(result, [guest for guest in bench.guests if guest.lives()])
    return result


def _judged(lab: Lab, bench: Bench, *, feature: bool) -> Result:
    began, verdict, reason, broken = time.monotonic(), FAIL, "", False
    try:
        with _deadline(DEADLINE):
            lab.check(bench, feature=feature)
    except Inconclusive as error:
        verdict, reason = INCONCLUSIVE, str(error)
    except (TinyboxError, OSError) as error:
        reason, broken = f"it could not be done: {error}", True
    except Exception as error:  # noqa: BLE001  after a mistake in one lab the others must still be done
        reason, broken = f"it has a mistake: {_mistake(error)}", True
    else:
        refuted = [claim.sentence for claim in bench.claims if not claim.holds]
        refuted += [f"the text is right: {each.said}" for each in bench.text_errors if feature and not each.refuted]
        broken = not bench.claims
        verdict = FAIL if refuted or broken else PASS
        reason = "it claims nothing" if broken else f"not true: {refuted[0]}" if refuted else ""
    seconds = time.monotonic() - began
    noted = (tuple(bench.text_errors), tuple(bench.pictures))
    return Result(verdict, reason, bench.claims, bench.evidence, seconds, broken, *noted)


def _mistake(error: Exception) -> str:
    """Return an error of a lab's check with the file and the line in it, without these if check cannot be called."""
    what = printable(f"{type(error).__name__}: {error}")
    trace = error.__traceback__.tb_next if error.__traceback__ else None  # the frame below that of _judged
    if trace is None:
        return what
    return f"{os.path.basename(own_folders.place(trace.tb_frame.f_code.co_filename, error))}: {what}"


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
