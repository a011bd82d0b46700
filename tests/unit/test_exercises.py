"""Exercises without boxes: seeds, texts, the record on disk, the page to hand in, and the documents."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.guards.sources import CHECKOUT
from tinybox.cli import app
from tinybox.container.records.paths import Paths
from tinybox.errors import DamagedError, StateError, UsageError
from tinybox.exercises import catalogue, course, report, session
from tinybox.exercises.locking import folder
from tinybox.exercises.records import Record
from tinybox.lab import own_folders
from tinybox.lab.bench import Evidence

if TYPE_CHECKING:
    from pathlib import Path

NAMES = course.names()
LONGEST_SUBJECT = 49  # characters, beside the other columns of `exercise list` on a terminal of 80


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Make an empty store."""
    found = Paths(str(tmp_path / "store"))
    found.prepare()
    folder(found)
    return found


def begun(paths: Paths, name: str, seed: int = 7) -> Record:
    """Note an attempt that is ready, without any box."""
    record = Record(paths, name)
    record.begin(seed)["is_ready"] = True
    record.save()
    return record


def test_twenty_exercises_two_to_four_for_each_lecture() -> None:
    """The table of the lectures has each file of the catalogue once."""
    files = {name[:-3].replace("_", "-") for name in os.listdir(*catalogue.__path__) if name.endswith(".py")}
    assert sorted(NAMES) == sorted(files - {"--init--"})
    assert len(NAMES) == 20
    assert all(2 <= len(names) <= 4 for names in course.LECTURES.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_the_numbers(name: str) -> None:
    """The same seed gives the same numbers; ten seeds give five different tasks or more, whatever else is drawn."""
    random.seed(1)
    first = course.numbers(name, 3)
    random.seed(2)
    assert course.numbers(name, 3) == first
    tasks = {course.load(name).task.format(**course.numbers(name, seed)) for seed in range(10)}
    assert len(tasks) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_the_texts(name: str) -> None:
    """All fields of the texts are filled in; there are hints; the solution has a command; the task names each box."""
    exercise, numbers = course.load(name), course.numbers(name, 11)
    texts = [text.format(**numbers) for text in (exercise.task, exercise.solution, *exercise.hints)]
    assert all(re.search(r"(?<!\{)\{\w+\}(?!\})", text) is None for text in texts)
    assert len(exercise.hints) == 3
    assert "\n  " in texts[1]
    assert all(box in texts[0] for box in numbers["boxes"])
    assert len(course.subject(name)) <= LONGEST_SUBJECT
    assert len(course.idea(name)) > 100


@pytest.mark.parametrize("name", [name for name in NAMES if "WORD" in course.load(name).answer])
def test_a_word_that_is_to_be_found_is_in_no_text(name: str) -> None:
    """Neither the task nor the hints give the answer away."""
    exercise, numbers = course.load(name), course.numbers(name, 11)
    assert all(numbers["word"] not in text.format(**numbers) for text in (exercise.task, *exercise.hints))


def test_the_documents_name_the_exercises() -> None:
    """docs/exercises.md has a row for each, with its lecture, and the guide names those of each lecture."""
    rows = re.findall(r"^\| (\d) \| `([\w-]+)` \|", (CHECKOUT / "docs/exercises.md").read_text(), re.MULTILINE)
    assert [(int(lecture), name) for lecture, name in rows] == [(course.lecture(name), name) for name in NAMES]
    guide = re.split(r"^## (?=\d\. )", (CHECKOUT / "docs/lecture-guide.md").read_text(), flags=re.MULTILINE)
    for number, names in course.LECTURES.items():
        line = next(line for line in guide[number].splitlines() if line.startswith("**Exercises.**"))
        assert tuple(re.findall(r"`([\w-]+)`", line)) == names


def test_a_name_that_no_exercise_has() -> None:
    """The error is one line, and asks if the nearest one was meant."""
    with pytest.raises(UsageError) as error:
        course.load("zombi")
    assert str(error.value) == "exercise zombi: there is no such exercise (did you mean zombies? tinybox exercise list)"


def test_hints_unfold_one_by_one(paths: Paths) -> None:
    """Each call shows one hint more, up to all of them, and the record on disk has the number."""
    begun(paths, "zombies")
    assert [len(session.hint(paths, "zombies")[0]) for _ in range(4)] == [1, 2, 3, 3]
    assert Record(paths, "zombies").attempts[-1]["hints"] == 3


def test_the_task_of_ones_own_names_commands_that_find_it(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have --lab-dir, so they find it without the variable; those of a lecture, the control, have none."""
    (tmp_path / "my labs/exercises").mkdir(parents=True)
    shutil.copy(f"{catalogue.__path__[0]}/two_numbers.py", tmp_path / "my labs/exercises/my_own.py")
    monkeypatch.setenv(own_folders.VARIABLE, str(tmp_path / "my labs"))
    lines = {name: report.task(record := begun(paths, name), record.attempts[-1], 80) for name in ("my-own", "zombies")}
    assert lines["my-own"][0].startswith("my-own (your own): ")
    option = f"--lab-dir '{tmp_path}/my labs' my-own"
    assert lines["my-own"][-3:] == [
        f"Check:    tinybox exercise check {option} PID",
        f"A hint:   tinybox exercise hint {option}",
        f"The end:  tinybox exercise end {option}",
    ]
    assert lines["zombies"][0].startswith("zombies (lecture 2): ")
    assert lines["zombies"][-1] == "The end:  tinybox exercise end zombies"


@pytest.mark.parametrize(
    ("user", "root", "command"),
    [
        ("ana", [], "sudo tinybox exercise"),
        ("ana", ["--root", "a b"], "sudo tinybox --root 'a b' exercise"),
        ("", ["--root", "ab"], "tinybox --root ab exercise"),
        ("", [], "tinybox exercise"),
    ],
)
def test_the_next_command_finds_the_store_of_this_one(
    user: str, root: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the sudo(8) and the --root of this command, without which nothing is started in the store that it sees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYBOX_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("SUDO_USER", user)
    monkeypatch.setattr(app, "sweep", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    shown = CliRunner().invoke(app.cli, [*root, "exercise", "show", "zombies"], standalone_mode=False)
    assert shown.output.splitlines()[-1] == f"Begin: {command} start zombies"


def test_the_path_of_a_source_is_in_one_piece() -> None:
    """A student can copy it, also from a narrow terminal; other words, the control, are wrapped to the width."""
    path = f"/sys/fs/cgroup/pids/{'0123456789abcdef' * 4}/pids.max"
    found = session.Verdict([Evidence("", "limit", "20 " * 30, path)], "")
    lines = list(report.verdict("fork-bomb", found, 80))
    assert path in [line.split()[-1] for line in lines]
    assert all(len(line) <= 80 for line in lines if path not in line)


def test_an_answer_where_none_is_asked_for(paths: Paths) -> None:
    """Neither a missing answer nor one too many counts as a check."""
    begun(paths, "zombies")
    begun(paths, "full-pipe")
    with pytest.raises(UsageError, match="it has no answer"):
        session.check(paths, "zombies", "4")
    with pytest.raises(UsageError, match="asks for an answer"):
        session.check(paths, "full-pipe")
    assert Record(paths, "full-pipe").attempts[-1]["checks"] == []


def test_an_exercise_that_is_not_started(paths: Paths) -> None:
    """Hint, check, solution and end say so, and what to type; after a start that was interrupted, also."""
    for act in (session.hint, session.check, session.solution, session.end):
        with pytest.raises(StateError, match=r"it is not started"):
            act(paths, "zombies")
    Record(paths, "zombies").begin(1)
    with pytest.raises(StateError, match=r"its start was interrupted \(tinybox exercise start zombies\)"):
        session.check(paths, "zombies")


@pytest.mark.parametrize("text", ["", "[]", '{"attempts": [{"seed": -1}]}', '{"attempts": [1]}', "[" * 100000])
def test_a_damaged_record_is_one_line(paths: Paths, text: str) -> None:
    """A file that is no record is named, with what is wrong, and the cure."""
    record = Record(paths, "zombies")
    with open(record.path, "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(DamagedError) as error:
        Record(paths, "zombies")
    assert str(error.value).startswith(record.path)
    assert str(error.value).endswith("(remove it)")


def test_the_page_to_hand_in(paths: Paths) -> None:
    """The page has seed, checks, hints and evidence; what a student has typed stays text in its cell."""
    record = begun(paths, "open-deleted", 99)
    attempt = record.attempts[-1]
    evidence = [{"figure": "the word", "value": "a|b", "source": "cat /proc/9/fd/4"}]
    for answer, passed in (("<b>`x`|", False), ("a|b", True)):
        attempt["checks"].append({"time": attempt["begun"] + 5 * 10**9, "answer": answer, "passed": passed,
                                  "missing": "" if passed else "no", "evidence": evidence})  # fmt: skip
    record.save()
    found = report.results([Record(paths, "open-deleted")])
    assert json.loads(json.dumps(found)) == found
    assert (found[0]["seed"], found[0]["passed"], found[0]["seconds"], found[0]["hints"]) == (99, True, 5.0, 0)
    page = "\n".join(report.markdown(found, "<i>|"))
    assert page.startswith("# Exercises of &lt;i>\\|\n")
    assert "| open-deleted | 99 | yes | 5.0 s | 2 | 0 |" in page
    assert "| the word | a\\|b | `cat /proc/9/fd/4` |" in page


def test_words_between_backquotes_stay_on_one_line() -> None:
    """A command in a text is not broken, whatever the width, and an indented command is left as it is."""
    text = "Read `tinybox top BOX -o pid` and go on.\n  " + "x" * 60
    lines = report.wrapped(text, 29)
    assert lines == ["Read `tinybox top BOX -o pid`", "and go on.", "  " + "x" * 60]
