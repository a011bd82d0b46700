"""The verbs on exercises: start, hint, check, solution, end; each is a function, and all state is on disk.

One command at a time changes exercises: it holds the lock of locking.locked(). What a killed `start` or `end` leaves is
found by the open attempt and by the label of the boxes, and the next `start` or `end` of this exercise removes it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container import control, sweeping
from tinybox.container.records import host
from tinybox.container.views import listing
from tinybox.errors import ConflictError, NoSuchError, StateError, UsageError, printable
from tinybox.exercises import course, locking
from tinybox.exercises.records import Record
from tinybox.exercises.scene import LABEL, MissingError, Scene
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.paths import Paths
    from tinybox.exercises.records import Attempt
    from tinybox.lab.bench import Evidence

SETTLING, PAUSE = 0.3, 0.02  # seconds: how long a check looks again, and between two looks
LONGEST = 1000  # characters of an answer


class Verdict(NamedTuple):
    """The result of a check: *evidence* are the figures that were read, *missing* is empty if the task is done."""

    evidence: list[Evidence]
    missing: str

    @property
    def passed(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def start(paths: Paths, name: str, seed: int | None = None, *, again: bool = False) -> Attempt:
    """Make the boxes of an exercise, and return the new attempt; with *again*, a former one is ended first.

    *seed* (default: the former one with *again*, else a random one) decides the numbers. If the boxes cannot be made,
    all is removed and the error is raised. ConflictError: the exercise is started already.
    """
    exercise = course.load(name)
    with locking.locked(paths):
        record = Record(paths, name)
        former = record.open
        if former and former["is_ready"] and not again:
            cure = f"tinybox exercise show {name}, or start --again {name}, or end {name}"
            raise ConflictError(f"exercise {name}", f"it is started already, with seed {former['seed']}", cure)
        if former:
            seed = former["seed"] if seed is None else seed
            _clear(paths, record)
        attempt = record.begin(_random() if seed is None else seed)
        try:
            os.makedirs(record.shared, 0o755)
            exercise.prepare(_scene(paths, record, attempt))
        except BaseException:
            _clear(paths, record)
            record.attempts.pop()
            record.save()
            raise
        attempt["is_ready"] = True
        record.save()
    return attempt


def _random() -> int:
    return int.from_bytes(os.urandom(4)) % course.SEEDS


def _scene(paths: Paths, record: Record, attempt: Attempt) -> Scene:
    numbers = course.numbers(record.name, attempt["seed"])
    return Scene(paths, record.name, numbers, record.shared, attempt["facts"])


def started(record: Record) -> Attempt:
    """Return the open attempt; StateError: the exercise is not started, or its start was interrupted."""
    attempt = record.open
    if attempt is None:
        raise StateError(f"exercise {record.name}", "it is not started", f"tinybox exercise start {record.name}")
    if not attempt["is_ready"]:
        cure = f"tinybox exercise start {record.name}"
        raise StateError(f"exercise {record.name}", "its start was interrupted", cure)
    return attempt


def text(record: Record, attempt: Attempt, kind: str) -> str:
    """Return a text of the exercise, ``task`` or ``solution``, with the numbers of this attempt."""
    found: str = getattr(course.load(record.name), kind)
    return found.format(**course.numbers(record.name, attempt["seed"]))


def hint(paths: Paths, name: str) -> tuple[list[str], int]:
    """Unfold one more hint; return all that are unfolded now, and how many there are. StateError as started()."""
    exercise = course.load(name)
    with locking.locked(paths):
        record = Record(paths, name)
        attempt = started(record)
        attempt["hints"] = min(attempt["hints"] + 1, len(exercise.hints))
        record.save()
    numbers = course.numbers(name, attempt["seed"])
    return [each.format(**numbers) for each in exercise.hints[: attempt["hints"]]], len(exercise.hints)


def check(paths: Paths, name: str, answer: str = "") -> Verdict:
    """Judge an exercise by the facts that its boxes show now, and note the result. StateError as started().

    UsageError: the task asks for an *answer* and there is none, or it asks for none and there is one.
    """
    exercise = course.load(name)
    if exercise.answer and not answer:
        raise UsageError(f"exercise {name}", "the task asks for an answer", _usage(name, exercise.answer))
    if (answer and not exercise.answer) or len(answer) > LONGEST:
        wrong = "the answer is too long" if exercise.answer else "it has no answer, something is to be changed"
        raise UsageError(f"exercise {name}", wrong, _usage(name, exercise.answer))
    with locking.locked(paths):
        record = Record(paths, name)
        attempt = started(record)
        scene = _scene(paths, record, attempt)
        verdict = Verdict(scene.evidence, _judge(exercise, scene, answer))
        attempt["checks"].append(_as_check(answer, verdict))
        record.save()
    return verdict


def _usage(name: str, answer: str) -> str:
    return f"tinybox exercise check {name} {answer}".rstrip()


def _judge(exercise: course.Exercise, scene: Scene, answer: str) -> str:
    """Return what is missing, or the empty string.

    What a student has just changed, such as by a signal, may take a moment: without an *answer*, it looks again until
    SETTLING seconds are over. A process that ends while it is read is looked at again in any case.
    """
    deadline = time.monotonic() + SETTLING
    while True:
        scene.evidence.clear()
        is_moving = not exercise.answer
        try:
            exercise.check(scene, answer)
        except MissingError as error:
            missing = str(error)
        except (FileNotFoundError, ProcessLookupError) as error:
            missing, is_moving = _vanished(scene, error), True
        else:
            return ""
        if not is_moving or time.monotonic() > deadline:
            return missing
        time.sleep(PAUSE)


def _vanished(scene: Scene, error: OSError) -> str:
    """Return the sentence about a file that cannot be read: one of the exercise's own does not come back by itself."""
    path = error.filename or error.strerror
    if str(path).startswith(f"{scene.folder}/"):
        return f"the file {path} of the exercise is missing: start --again"
    return f"it changes while it is read ({path}): check again"


def _as_check(answer: str, verdict: Verdict) -> dict[str, Any]:
    """Return a check for the record; what a student has typed, or a file has held, may be no text in UTF-8."""
    evidence = [
        {"figure": printable(each.figure), "value": printable(each.value), "source": printable(each.source)}
        for each in verdict.evidence
    ]
    return {
        "time": time.time_ns(),
        "answer": printable(answer),
        "passed": verdict.passed,
        "missing": printable(verdict.missing),
        "evidence": evidence,
    }


def solution(paths: Paths, name: str) -> str:
    """Return the solution with the numbers of the started attempt, and note that it was shown. StateError: none is."""
    with locking.locked(paths):
        record = Record(paths, name)
        attempt = started(record)
        attempt["saw_solution"] = True
        record.save()
    return text(record, attempt, "solution")


def end(paths: Paths, name: str, *, forget: bool = False) -> None:
    """Remove all boxes and files of an exercise; the results stay, unless *forget*. StateError: nothing is started.

    Boxes with its label are removed also if there is no record of them.
    """
    with locking.locked(paths):
        record = Record(paths, name)
        if not (record.open or _boxes(paths, record) or (forget and record.attempts)):
            raise StateError(f"exercise {name}", "it is not started", "tinybox exercise list")
        _clear(paths, record)
        if forget:
            record.forget()


def _clear(paths: Paths, record: Record) -> None:
    """Remove the boxes and the files of the open attempt; last, note that it is ended."""
    here = host.read(paths.cache)
    here.check()
    sweeping.sweep(paths, here)
    for box in _boxes(paths, record):
        try:
            control.remove(paths, here, box.id, force=True, volumes=True)
        except NoSuchError:  # the student has just removed it, or it was made with --rm
            continue
    if files.exists(record.shared):
        files.remove_tree(record.shared)
    if record.open:
        record.open["ended"] = time.time_ns()
        record.save()


def _boxes(paths: Paths, record: Record) -> list[listing.Listed]:
    """Return the boxes with the label of the exercise, and those that the student made with its names.

    A box of such a name that is older than the attempt is not of the exercise.
    """
    attempt = record.open
    begun = attempt["begun"] if attempt else 0
    names = course.numbers(record.name, attempt["seed"])["boxes"] if attempt else []

    def is_its(box: listing.Listed) -> bool:
        is_new = box.state.get("createdAt", 0) >= begun
        return box.labels.get(LABEL) == record.name or (box.name in names and is_new)

    return listing.containers(paths, at_rest=True, is_wanted=is_its)
