"""Labs and exercises of one's own: which files are found, how a wrong one is reported, and the help that labs get."""

from __future__ import annotations

import os
import select
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tinybox.cli import app
from tinybox.errors import UsageError
from tinybox.exercises import catalogue
from tinybox.exercises import course as exercises
from tinybox.lab import card, course, guest, inside, own_folders, template
from tinybox.linux import process

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory that TINYBOX_LABS names."""
    monkeypatch.setenv(own_folders.VARIABLE, str(tmp_path))
    return tmp_path


def test_names_of_files(folder: Path) -> None:
    """A lab is NAME.py, an exercise is exercises/NAME.py, _ is shown as -; other files are neither."""
    (folder / "exercises").mkdir()
    for name in ("two_words.py", "_shared.py", ".hidden.py", "notes.md", "exercises/find_it.py"):
        (folder / name).write_text('"""One line."""\n')
    assert own_folders.files() == {"two-words": str(folder / "two_words.py")}
    assert own_folders.files("exercises") == {"find-it": str(folder / "exercises/find_it.py")}
    assert course.ids()[-1] == "two-words"
    assert course.subject("two-words") == "One line"


def test_a_name_belongs_to_one_lab(folder: Path) -> None:
    """A file that has the name of a lab of tinybox is an error that names both; without it there is none."""
    assert "pid" in course.ids()
    (folder / "pid.py").write_text("")
    with pytest.raises(UsageError, match=r"pid\.py: .*catalogue/pid\.py has the same name"):
        course.ids()


def test_a_directory_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the directory and the variable."""
    monkeypatch.setenv(own_folders.VARIABLE, "/nowhere")
    with pytest.raises(UsageError, match=r"labs in /nowhere: there is no such directory .*TINYBOX_LABS"):
        course.ids()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1 +", r"broken\.py:1: SyntaxError: "),
        ("\n\nimport no_such_module", r"broken\.py:3: ModuleNotFoundError: No module named"),
        ("LAB = 1", r"broken\.py: it has no LAB, a tinybox\.lab\.course\.Lab"),
        ("", r"broken\.py: it has no LAB"),
    ],
)
def test_a_file_that_is_no_lab(folder: Path, text: str, error: str) -> None:
    """It is one line, which names the file and the line."""
    (folder / "broken.py").write_text(text)
    with pytest.raises(UsageError, match=error):
        course.load("broken")


def test_the_template_is_a_lab(folder: Path) -> None:
    """What `lab new` writes can be loaded as it is; a name that could be a path is refused."""
    template.write("of-mine", str(folder))
    assert course.load("of-mine").question.endswith("?")
    assert "TINYBOX" not in course.description("of-mine")
    for name in ("../x", "X", "", "a b", "pid", "of-mine"):
        with pytest.raises(UsageError):
            template.write(name, str(folder))
    assert [path.name for path in folder.iterdir() if path.suffix == ".py"] == ["of_mine.py"]


@pytest.mark.parametrize(("folder", "made"), [("labs", True), ("missing/labs", False), ("file/labs", False)])
def test_a_new_lab_makes_its_directory(
    folder: str, made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lab new --lab-dir DIR` makes DIR, and no directory above it; the other commands make none."""
    monkeypatch.setenv(own_folders.VARIABLE, "")
    (tmp_path / "file").write_text("")
    at = ["--lab-dir", str(tmp_path / folder)]
    listed = CliRunner().invoke(app.cli, ["lab", "list", *at], standalone_mode=False)
    assert isinstance(listed.exception, UsageError)
    done = CliRunner().invoke(app.cli, ["lab", "new", *at, "of-mine"], standalone_mode=False)
    assert (tmp_path / folder / "of_mine.py").is_file() == made
    assert isinstance(done.exception, UsageError) == (not made)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def check(bench, *, feature):\n    one = 1\n    one.foo()\n", "of_mine.py:4: AttributeError: 'int'"),
        ("def check(bench):\n    pass\n", "it has a mistake: TypeError: check() got"),
    ],
)
def test_a_mistake_in_a_lab_has_a_line(text: str, reason: str, folder: Path) -> None:
    """The author of a lab is told the line of the file; a check that cannot be called has none."""
    imports = "from tinybox.lab.course import Lab\n"
    (folder / "of_mine.py").write_text(f"{imports}{text}LAB = Lab('Q?', 'A.', 'nothing', check)\n")
    result = course.conduct(course.load("of-mine"))
    assert (result.verdict, result.broken) == (course.FAIL, True)
    assert reason in result.reason


def test_the_table_of_a_check_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns a long reason stands below its lab, in whole words; in a file, the control, on the same line."""
    reason = "the control agrees: the lab would not notice if the feature were missing"
    result = course.Result(course.PASS, "", [], [], 0.1)
    pair = course.Pair(result, result)
    assert pair.reason == reason
    in_a_file = list(card.table([("of-mine", pair)]))
    assert in_a_file[1].endswith(f"0.20  {reason}")
    monkeypatch.setattr(card, "columns", lambda most=100: min(80, most))
    lines = list(card.table([("of-mine", pair)]))
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(" ".join(lines[1:-1]).split()).endswith(f"0.20 {reason}")
    assert len(lines) == len(in_a_file) + 1


def test_an_exercise_of_ones_own(folder: Path) -> None:
    """A file in exercises/ is an exercise beside those of tinybox; a file without EXERCISE is one line."""
    own = folder / "exercises"
    own.mkdir()
    shutil.copy(f"{catalogue.__path__[0]}/two_numbers.py", own / "my_numbers.py")
    assert exercises.names()[-2:] == ["fork-bomb", "my-numbers"]
    assert exercises.lecture("my-numbers") == exercises.OWN
    assert exercises.subject("my-numbers") == exercises.subject("two-numbers")
    assert exercises.load("my-numbers").task == exercises.load("two-numbers").task
    assert exercises.numbers("my-numbers", 7)["boxes"]
    (own / "broken.py").write_text("")
    with pytest.raises(UsageError, match=r"broken\.py: it has no EXERCISE"):
        exercises.load("broken")


@pytest.mark.parametrize("words", [["exercise", "list"], ["lab", "list"]])
def test_directories_on_the_command_line(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--lab-dir of labs and of exercises finds a file, which is not found without it; a wrong directory is an error."""
    monkeypatch.setenv("TINYBOX_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv(own_folders.VARIABLE, "")
    (tmp_path / "exercises").mkdir()
    shutil.copy(f"{catalogue.__path__[0]}/two_numbers.py", tmp_path / "exercises" / "my_own.py")
    (tmp_path / "my_own.py").write_text('"""A subject."""\n')
    with_it, without = ["--lab-dir", str(tmp_path)], CliRunner().invoke(app.cli, words, standalone_mode=False)
    assert "my-own" not in without.output
    assert "two-numbers" in without.output or "pid" in without.output
    assert " my-own " in CliRunner().invoke(app.cli, [*words, *with_it], standalone_mode=False).output
    wrong = CliRunner().invoke(app.cli, [*words, "--lab-dir", str(tmp_path / "none")], standalone_mode=False)
    assert isinstance(wrong.exception, UsageError)


def test_no_exercise_of_ones_own() -> None:
    """The control: without the variable there are only those of the lectures."""
    assert exercises.OWN not in map(exercises.lecture, exercises.names())


def start_too_late(answer: int) -> NoReturn:
    """Start a process of a lab, which asks to be killed with its parent only after this parent has died."""
    parent, ask = os.getpid(), process.set_parent_death_signal

    def ask_late(number: int) -> None:
        os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            os.sched_yield()
        ask(number)

    process.set_parent_death_signal = ask_late  # type: ignore[assignment]  # it calls its parameter signal
    guest.fork(os.write, (answer, b"acted"))
    while True:
        signal.pause()


def test_a_process_of_a_dead_lab_does_nothing() -> None:
    """The lab is killed before its child asks for PR_SET_PDEATHSIG: the child ends. Control: a lab that lives."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        start_too_late(writing)
    os.waitpid(child, 0)
    other = guest.fork(os.write, (writing, b"of a living lab"))
    other.wait()
    other.end()
    os.close(writing)
    with open(reading, "rb") as answers:
        assert answers.read() == b"of a living lab"


@pytest.mark.parametrize("name", ["zombie", "cgroup-cpu", "checkpoint"])
def test_the_title_of_a_card_fits_a_terminal_of_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name and subject take two lines there, and are complete; the card of `livelock`, the control, needs one."""
    monkeypatch.setattr(card, "WIDTH", 80)
    lines = card.question(name, course.load(name))
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(" ".join(lines[: lines.index("=" * 80)]).split()) == f"{name}: {course.subject(name)}"
    assert card.question("livelock", course.load("livelock"))[1] == "=" * 80


def test_a_program_that_closes_its_stdout_has_no_output() -> None:
    """End of file is no output, although the process has not ended yet; a word, the control, is output."""
    child = guest.fork(speak_then_close, ())
    assert child.receive() == "ready"
    assert not child.has_output()
    child.send_line("speak")
    select.select([child.output], [], [])
    assert child.has_output()
    assert child.read_line() == "a word"
    child.send_line("close")
    assert child.read_all() == ""
    assert (child.ended(), child.has_output()) == (False, False)
    child.end()


def speak_then_close() -> None:
    """In the child: say a word at the first line, close stdout and stderr at the second, and stay."""
    inside.send("ready")
    inside.receive_line()
    os.write(1, b"a word\n")
    inside.receive_line()
    os.close(1)
    os.close(2)
    signal.pause()
