"""The labs: each passes, each has a control with the opposite result, and the framework reports any that does not."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tinybox.container.checkpoints import criu
from tinybox.errors import TinyboxError
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.lab import card, course
from tinybox.lab.bench import Bench
from tinybox.lab.card import WIDTH
from tinybox.lab.course import Lab, Pair
from tinybox.lab.lectures import ORDER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command
    from tinybox.lab.course import Check

pytestmark = pytest.mark.root

# Only labs that measure a share of the CPU, or of the disk, may report that this machine did not allow it.
MAY_BE_STARVED = {"affinity", "cpu", "workers", "cgroup-cpu", "cgroup-io"}


@pytest.fixture(autouse=True)
def images(tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the labs use the images of the tests' store."""
    monkeypatch.setenv("TINYBOX_ROOT", tinybox.root)


def both(check: Check) -> Pair:
    """Run a lab that is nothing but *check*, and its control."""
    return course.conduct_both(Lab("?", "!", "the feature", check))


def skip_what_is_missing(name: str) -> None:
    """Skip the lab about checkpoints where criu does not work, and the lab about state D where there is no FUSE."""
    if name == "checkpoint" and (trouble := criu.trouble()):
        pytest.skip(trouble)
    if name == "disk-sleep":
        try:
            os.close(os.open("/dev/fuse", os.O_RDWR))
        except OSError as error:
            pytest.skip(f"/dev/fuse: {error.strerror}")


@pytest.mark.parametrize("name", ["checkpoint"])
def test_a_lab_without_criu_is_inconclusive(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where criu is missing, the lab about checkpoints says so in one line, and is neither a PASS nor a FAIL."""
    monkeypatch.setenv("PATH", "/nowhere")
    pair = course.conduct_both(course.load(name))
    assert pair.verdict == course.INCONCLUSIVE
    assert "criu: it is not installed" in pair.reason
    assert "apt-get install criu" in pair.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", course.ids())
def test_the_lab_and_its_control(name: str) -> None:
    """The lab passes, and without its feature it does not: this shows that the lab measures the feature."""
    skip_what_is_missing(name)
    pair = course.conduct_both(course.load(name))
    allowed = {course.PASS, course.INCONCLUSIVE} if name in MAY_BE_STARVED else {course.PASS}
    assert pair.verdict in allowed, (pair.reason, pair.lab, pair.control)


@pytest.mark.slow
@pytest.mark.parametrize("name", course.ids())
def test_the_lab_in_a_box_of_busybox(name: str) -> None:
    """The result is the same; the lab does by hand what busybox lacks of alpine."""
    skip_what_is_missing(name)
    pair = course.conduct_both(course.load(name), image="busybox")
    allowed = {course.PASS, course.INCONCLUSIVE} if name in MAY_BE_STARVED else {course.PASS}
    assert pair.verdict in allowed, (pair.reason, pair.lab, pair.control)


@pytest.mark.parametrize("name", course.ids())
def test_the_card_of(name: str) -> None:
    """A lab has a line about its subject, a question, an answer, and the feature that its control omits."""
    lab = course.load(name)
    assert 10 < len(course.subject(name)) <= WIDTH - 17  # beside its name in the list
    assert lab.question.endswith("?")
    assert len(lab.answer) > 20
    assert lab.control
    assert course.description(name)


def test_a_control_that_agrees_is_broken() -> None:
    """A lab whose claim also holds without the feature is a FAIL, and the reason names the control."""

    def check(bench: Bench, *, feature: bool) -> None:
        bench.claim("water is wet", holds=True)

    pair = both(check)
    assert (pair.lab.verdict, pair.control.verdict, pair.verdict) == ("PASS", "PASS", "FAIL")
    assert "the control agrees" in pair.reason


def test_a_control_that_differs_makes_a_pass() -> None:
    """The opposite case: the claim holds with the feature and fails without it."""
    assert both(lambda bench, *, feature: bench.claim("it is there", feature)).verdict == "PASS"


def test_a_control_that_cannot_be_run_shows_nothing() -> None:
    """An error in the control is not the opposite result: the pair fails."""

    def check(bench: Bench, *, feature: bool) -> None:
        bench.claim("it is there", feature)
        if not feature:
            raise TinyboxError("the control", "is mistyped")

    pair = both(check)
    assert pair.verdict == "FAIL"
    assert "mistyped" in pair.reason


def test_a_lab_that_claims_nothing_fails() -> None:
    """No claim is no evidence."""
    assert both(lambda bench, *, feature: None).lab.verdict == "FAIL"  # noqa: ARG005


def test_inconclusive() -> None:
    """Neither a PASS nor a FAIL: the lab reports what the machine did not allow, and what it had seen."""
    pair = both(lambda bench, *, feature: bench.need(fact=False, reason="no ptrace here"))  # noqa: ARG005
    assert (pair.lab.verdict, pair.verdict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert "no ptrace" in pair.reason


def test_a_mistake_of_a_text_is_measured() -> None:
    """A refuted sentence of a text is one line; a sentence that turns out right fails the lab, but no control."""

    def check(bench: Bench, *, feature: bool) -> None:
        bench.text_says("water is dry", "it is wet", refuted=True)
        bench.text_says("ice is hot", "it is cold", refuted=feature)
        bench.claim("it is there", feature)

    def right(bench: Bench, *, feature: bool) -> None:
        bench.claim("it is there", holds=True)
        bench.text_says("water is wet", "it is wet", refuted=False)

    pair = both(check)
    assert pair.verdict == "PASS"
    assert "text The text says: water is dry. Measured: it is wet." in card.report(pair.lab)
    assert both(right).lab.reason == "not true: the text is right: water is wet"
    assert both(right).control.verdict == "PASS"


def test_a_fact_that_does_not_become_true_fails_the_lab() -> None:
    """Waiting is bounded, and the failure names the fact that did not become true."""

    def check(bench: Bench, *, feature: bool) -> None:
        bench.until(lambda: False, "the end of days", seconds=0.01)

    assert "the end of days" in both(check).lab.reason


def test_the_box_of_a_lab_ends_with_it() -> None:
    """A lab that fails in the middle leaves no box and no process; the fixture looks for traces."""

    def check(bench: Bench, *, feature: bool) -> None:
        with bench.box("sleep", "60") as box, bench.process(signal.pause):
            box.start("sleep", "60")
            raise TinyboxError("a lab", "breaks off")

    assert both(check).lab.broken


def test_a_failure_at_the_end_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the end of a box fails, the lab is broken, and the box is ended all the same; the fixture looks for traces."""

    def fail(_: Cgroup) -> None:
        raise TinyboxError("a group", "cannot be removed")

    def check(bench: Bench, *, feature: bool) -> None:
        with monkeypatch.context() as patch, bench.box("sleep", "60"):
            patch.setattr(Cgroup, "end", fail)

    assert "cannot be removed" in both(check).lab.reason


def test_a_failure_in_the_box_is_reported() -> None:
    """An exception in the box reaches the lab as text."""

    def stumble() -> None:
        raise ValueError("over my own feet")

    def check(bench: Bench, *, feature: bool) -> None:
        with bench.box(stumble) as box:
            box.receive()

    assert "over my own feet" in both(check).lab.reason


def test_the_command_checks(tinybox: Command) -> None:
    """`lab check` ends with 0 if all labs pass, and its JSON has the verdicts of the lab and of its control."""
    done = tinybox("lab", "check", "--json", "pid")
    assert (done.returncode, done.stderr) == (0, "")
    (pair,) = json.loads(done.stdout)
    assert (pair["verdict"], pair["lab"]["verdict"], pair["control"]["verdict"]) == ("PASS", "PASS", "FAIL")


def test_the_command_fails_with_a_lab(tinybox: Command) -> None:
    """`lab run` ends with 1 when a lab fails: here one without its feature."""
    done = tinybox("lab", "run", "--control", "pid")
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL: not true" in done.stdout


def test_the_command_waits_for_enter(tinybox: Command) -> None:
    """With --step the prediction comes first, then the measurement, then the answer."""
    done = tinybox("lab", "run", "--step", "pid", text="\n")
    assert done.returncode == 0
    assert done.stdout.index("Predict:") < done.stdout.index("HOST") < done.stdout.index("Answer:")


def test_inconclusive_is_counted() -> None:
    """The last line of the table counts the results, also the labs that could not be measured."""
    pairs = [
        ("one", both(lambda bench, *, feature: bench.claim("it is there", feature))),
        ("two", both(lambda bench, *, feature: bench.need(fact=False, reason="no ptrace here"))),  # noqa: ARG005
        ("three", both(lambda bench, *, feature: bench.claim("always", holds=True))),  # noqa: ARG005
    ]
    *_, last = card.table(pairs)
    assert last == "3 labs: 1 PASS, 1 FAIL, 1 INCONCLUSIVE"


def test_two_views_stand_side_by_side() -> None:
    """Facts with the same name on both sides are on one line, host left, box right; no line is wider than 100."""

    def check(bench: Bench, *, feature: bool) -> None:
        bench.in_box("PID", 1, "getpid(2)")
        bench.on_host("PID", 4711, f"/proc/4711/{'very/' * 30}status")
        bench.claim("two numbers", feature)

    lines = card.report(both(check).lab)
    assert any(line.startswith("PID: 4711 ") and line.endswith("| PID: 1") for line in lines), lines
    assert max(map(len, lines)) <= WIDTH


def test_a_page_to_hand_in(tinybox: Command, tmp_path: Path) -> None:
    """--markdown writes the question, space for a prediction, the evidence, the verdict, and the hidden answer."""
    page = tmp_path / "pid.md"
    assert tinybox("lab", "run", "--markdown", str(page), "pid").returncode == 0
    text = page.read_text()
    assert text.index("**Question.**") < text.index("My prediction") < text.index("NSpid") < text.index("**PASS**")
    assert text.index("<details><summary>Answer</summary>") < text.index(course.load("pid").answer)


def test_a_seed_repeats_the_random_choices() -> None:
    """The same seed gives the same choices, another seed other ones."""
    drawn = [Bench(seed=seed).random.random() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_list_imports_no_lab(tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lab list` reads the first line of each file, and runs none of them."""
    monkeypatch.setitem(tinybox.environment, "PYTHONPROFILEIMPORTTIME", "1")
    done = tinybox("lab", "list")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line[2] != " "] == ORDER
    assert "tinybox.lab.course" in done.stderr  # the control: imports are noticed
    assert "tinybox.lab.catalogue.pid" not in done.stderr


def test_an_unknown_lab_is_one_line(tinybox: Command) -> None:
    """A name that no lab has is an error in one line."""
    done = tinybox("lab", "run", "pids")
    assert done.stderr == "tinybox: lab pids: there is no such lab (did you mean pid? tinybox lab list)\n"
