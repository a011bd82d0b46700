"""Every exercise: three wrong deeds are refused, its solution passes, with evidence; nothing is left at its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.exercises.deeds import RIGHT, WRONG, numbered
from tests.support.boxes import PATIENCE
from tinybox.container import control
from tinybox.container.monitor import background
from tinybox.container.records.paths import Paths
from tinybox.errors import ConflictError, StateError
from tinybox.exercises import course, locking, report, session
from tinybox.exercises.records import Record
from tinybox.exercises.scene import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Command
    from tests.kernel.exercises.deeds import Deed

pytestmark = pytest.mark.root
SEED = 21


@contextlib.contextmanager
def started(tinybox: Command, name: str) -> Iterator[dict[str, object]]:
    """Start an exercise, give its numbers, and end it with all that is kept of it."""
    paths = Paths(tinybox.root)
    session.start(paths, name, SEED)
    try:
        yield course.numbers(name, SEED)
    finally:
        session.end(paths, name, forget=True)


def run(tinybox: Command, commands: str) -> str:
    """Run commands in a shell, as a student would, and return what they print."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**tinybox.environment, "PATH": path}
    done = subprocess.run(["bash", "-c", commands], env=environment, capture_output=True, text=True, check=False,
                          timeout=PATIENCE)  # fmt: skip
    return done.stdout


def act(tinybox: Command, name: str, deed: Deed, numbers: dict[str, object]) -> str:
    """Do a deed; return the answer, if the exercise asks for one."""
    text = deed(tinybox, numbers) if callable(deed) else deed.format(**numbers)
    if course.load(name).answer:
        return text
    run(tinybox, text)
    return ""


@pytest.mark.parametrize("name", course.names())
def test_the_exercise(name: str, tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong deeds are refused, each by a sentence of its own; the solution's commands, or its answer, pass."""
    paths, asks = Paths(tinybox.root), bool(course.load(name).answer)
    assert len(WRONG[name]) >= 3
    with started(tinybox, name) as numbers:
        monkeypatch.setattr(session, "SETTLING", 0.1)
        for deed, sentence in WRONG[name]:
            verdict = session.check(paths, name, act(tinybox, name, deed, numbers))
            assert sentence in verdict.missing, (deed, verdict)
            if deed and not asks:
                session.start(paths, name, again=True)
        commands = "\n".join(line for line in session.solution(paths, name).splitlines() if line.startswith("  "))
        if asks:
            answer = act(tinybox, name, RIGHT[name], numbers)
            shown = run(tinybox, commands)
            assert all(word in shown for word in answer.split() if word not in ("ipc", "uts", "net", "pid")), shown
        elif name in RIGHT:
            answer = act(tinybox, name, RIGHT[name], numbers)
        else:
            answer = ""
            run(tinybox, commands)
        monkeypatch.setattr(session, "SETTLING", PATIENCE)
        passed = session.check(paths, name, answer)
    assert passed.missing == ""
    assert all(each.figure and each.value and each.source for each in passed.evidence)
    assert len(passed.evidence) > 0


@pytest.mark.parametrize("inner", [3, 8])
def test_every_number_that_two_numbers_asks_for_exists(inner: int, tinybox: Command) -> None:
    """The least and the greatest PID that a seed can draw are those of a process in each of the two boxes."""
    seed = next(seed for seed in range(1000) if course.numbers("two-numbers", seed)["inner"] == inner)
    paths = Paths(tinybox.root)
    session.start(paths, "two-numbers", seed)
    try:
        numbers = course.numbers("two-numbers", seed)
        assert session.check(paths, "two-numbers", act(tinybox, "two-numbers", numbered("box"), numbers)).passed
        assert act(tinybox, "two-numbers", numbered("other"), numbers)
    finally:
        session.end(paths, "two-numbers", forget=True)


def test_a_file_of_the_exercise_that_is_gone_is_named(tinybox: Command) -> None:
    """A student who removes the hidden file on the host is told so, and not to check again."""
    with started(tinybox, "hidden-file") as numbers:
        paths = Paths(tinybox.root)
        os.unlink(f"{Record(paths, 'hidden-file').shared}/{numbers['folder']}/word")
        missing = session.check(paths, "hidden-file", "x").missing
    assert "word of the exercise is missing: start --again" in missing


def labelled(tinybox: Command) -> list[str]:
    """Return the names of all boxes of exercises."""
    return tinybox("ps", "-aq", "--filter", f"label={LABEL}").stdout.split()


def test_the_commands(tinybox: Command) -> None:
    """As a student works: start, show, a hint, a wrong answer (1), the right one (0), the results, the end."""
    shown = tinybox("exercise", "start", "--seed", "5", "hidden-file")
    try:
        word = course.numbers("hidden-file", 5)["word"]
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "Seed: 5\n" in shown.stdout
        assert word not in shown.stdout
        assert tinybox("exercise", "show", "hidden-file").stdout == shown.stdout
        again = tinybox("exercise", "start", "hidden-file")
        assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
        assert "it is started already, with seed 5" in again.stderr
        assert [len(tinybox("exercise", "hint", "hidden-file").stdout.split("Hint")) - 1 for _ in range(4)] == [
            1,
            2,
            3,
            3,
        ]
        wrong = tinybox("exercise", "check", "hidden-file", "\x1b[31mred")
        assert (wrong.returncode, wrong.stderr) == (1, "")
        assert "not yet: this is not the word in the hidden file: \\x1b[31mred\n" in wrong.stdout
        assert tinybox("exercise", "check", "hidden-file").returncode == 1
        assert "file: \\udcff\n" in tinybox("exercise", "check", "hidden-file", "\udcff").stdout  # no UTF-8
        right = tinybox("exercise", "check", "hidden-file", word)
        assert (right.returncode, right.stdout.splitlines()[-1]) == (0, "hidden-file: passed")
        (result,) = json.loads(tinybox("exercise", "report", "--json").stdout)
        assert (result["seed"], result["passed"], result["hints"], len(result["checks"])) == (5, True, 3, 3)
        assert {"figure": "the word", "value": word, "source": result["checks"][2]["evidence"][-1]["source"]} in (
            result["checks"][2]["evidence"]
        )
        assert f"answer `{word}`" in tinybox("exercise", "report", "--markdown").stdout
        assert "hidden-file    passed, runs" in tinybox("exercise", "list").stdout
    finally:
        assert tinybox("exercise", "stop", "hidden-file").stdout == "hidden-file\n"
    assert "hidden-file    passed" in tinybox("exercise", "list").stdout
    assert labelled(tinybox) == []
    assert "it is not started" in tinybox("exercise", "check", "hidden-file", word).stderr
    assert tinybox("exercise", "end", "--forget", "hidden-file").returncode == 0
    assert os.listdir(f"{tinybox.root}/exercises") == ["lock"]


def killed_after_one_box(monkeypatch: pytest.MonkeyPatch, place: object, name: str, act: Callable[[], object]) -> None:
    """Call *act* in a child that kills itself by SIGKILL after the first call of the function *name* of *place*."""
    function = getattr(place, name)

    def once(*words: object, **options: object) -> None:
        function(*words, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            monkeypatch.setattr(place, name, once)
            act()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_killed_command_leaves_nothing_that_the_end_does_not_remove(
    tinybox: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start` and `end` are killed after one box of two; the list says so, `start` begins again, `end` removes all."""
    paths, name = Paths(tinybox.root), "deadlock"
    killed_after_one_box(monkeypatch, background, "launch", lambda: session.start(paths, name, SEED))
    assert len(labelled(tinybox)) == 1
    assert report.state(Record(paths, name)) == report.INTERRUPTED
    with pytest.raises(StateError, match="its start was interrupted"):
        session.check(paths, name)
    session.start(paths, name)
    assert len(labelled(tinybox)) == 2
    killed_after_one_box(monkeypatch, control, "remove", lambda: session.end(paths, name))
    assert len(labelled(tinybox)) == 1
    assert report.state(Record(paths, name)) == report.STARTED  # until an end has ended
    session.end(paths, name)
    session.start(paths, name, SEED)
    os.unlink(Record(paths, name).path)  # the label of the boxes is enough
    session.end(paths, name)
    assert labelled(tinybox) == []
    assert os.listdir(f"{tinybox.root}/exercises") == ["lock"]


def test_a_failed_start_leaves_nothing(tinybox: Command) -> None:
    """If a box cannot be made, because its name is taken, the start fails and removes the boxes that it had made."""
    paths = Paths(tinybox.root)
    taken = course.numbers("deadlock", SEED)["boxes"][1]
    assert tinybox("create", "--name", taken, "alpine", "true").returncode == 0
    try:
        with pytest.raises(ConflictError, match=taken):
            session.start(paths, "deadlock", SEED)
        assert Record(paths, "deadlock").attempts == []
        assert labelled(tinybox) == []
        assert tinybox("ps", "-aq", "--filter", f"name={taken}").stdout.split()  # it is the user's, and stays
    finally:
        tinybox("rm", "-f", taken)
        Record(paths, "deadlock").forget()


def test_a_box_that_was_made_again_is_another_one(tinybox: Command) -> None:
    """A box with the right name is not enough: it has to be the one that the exercise has made."""
    paths = Paths(tinybox.root)
    with started(tinybox, "end-143") as numbers:
        name = str(numbers["box"])
        tinybox("rm", "-f", name)
        tinybox("run", "--name", name, "--network", "none", "alpine", "sh", "-c", "kill $$")
        assert "is not the one that this exercise has made" in session.check(paths, "end-143").missing
    with pytest.raises(StateError, match="it is not started"):
        session.check(paths, "end-143")
    assert tinybox("ps", "-aq", "--filter", f"name={name}").stdout == ""
    assert locking.folder(paths) == f"{tinybox.root}/exercises"
