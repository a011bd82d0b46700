"""The exit statuses of wrong command lines are docker's: tests/data/docker_statuses.json has them from its client."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import forked_commands
from tests.support.boxes import kept, one_line

if TYPE_CHECKING:
    from tests.conftest import Command

KNOWN = json.loads((Path(__file__).parents[1] / "data/docker_statuses.json").read_text())
FACTS, VALUES = KNOWN["lines"], KNOWN["values"]
READY = ("busybox", "sh", "-c", "echo READY; exec sleep 100")


@pytest.mark.root
def test_statuses_are_those_of_dockers_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred wrong lines, in a store without anything, end with docker's status, and a line that says why.

    The control is the table itself: it has all three, and no command ends with the same one in each of its lines.
    """
    monkeypatch.chdir(tmp_path)
    found = {line: forked_commands.run(str(tmp_path / "store"), *shlex.split(line)) for line in FACTS}
    assert {line: done.status for line, done in found.items() if done.status != FACTS[line]} == {}
    assert [done for done in found.values() if done.complaint()] == []
    assert (set(FACTS.values()), len(FACTS) > 100) == ({0, 1, 64, 125}, True)
    assert {FACTS[line] for line in FACTS if line.split()[0] == "rm"} == {0, 1}


@pytest.mark.root
def test_statuses_tell_what_the_client_refuses(
    tmp_path: Path, store_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`create` ends with 125 if docker's client refuses a value, and with 1 if its daemon does; `run` with 125, mostly.

    The control is the table itself: hundreds of lines, of which `create` has both statuses, and `run` others, too.
    """
    monkeypatch.chdir(tmp_path)
    settings = {"TINYBOX_NETWORK": "none"}
    found = {line: forked_commands.run(str(store_root), *shlex.split(line), settings=settings) for line in VALUES}
    assert {line: done.status for line, done in found.items() if done.status != VALUES[line]} == {}
    assert [done for done in found.values() if done.complaint()] == []
    of = {verb: {VALUES[line] for line in VALUES if line.split()[0] == verb} for verb in ("create", "run")}
    assert (of, len(VALUES) > 200) == ({"create": {1, 125}, "run": {1, 125, 127}}, True)


@pytest.mark.root
def test_each_name_is_tried(tinybox: Command) -> None:
    """Of several names each missing one has an error of its own; the others are done; the status is 1."""
    with kept(tinybox, "--name", "is-there", *READY):
        for words, out in (
            (("inspect", "-f", "{{.Name}}"), "/is-there\n"),
            (("pause",), "is-there\n"),
            (("unpause",), "is-there\n"),
            (("kill", "-s", "CONT"), "is-there\n"),
            (("rm", "-f"), "is-there\n"),
        ):
            done = tinybox(*words, "missing1", "is-there", "missing2")
            lines = done.stderr.splitlines()
            assert (done.stdout, done.returncode) == (out, 0 if words == ("rm", "-f") else 1), words
            assert ["missing1" in lines[0], "missing2" in lines[1], len(lines)] == [True, True, 2], words


@pytest.mark.root
def test_statuses_of_exec(tinybox: Command) -> None:
    """exec: 127 without a program, 126 if it or the user cannot be had, 1 of a paused box, its own status else.

    With -d it is 1 instead of 126 and 127, because docker's client does not ask for the program's status.
    """
    with kept(tinybox, "--rm", "--name", "executed", *READY):
        one_line(tinybox("exec", "executed", "/nosuch"), 127, "/nosuch")
        one_line(tinybox("exec", "executed", "/etc"), 126, "/etc")
        one_line(tinybox("exec", "-w", "/nosuch", "executed", "true"), 127, "/nosuch")
        one_line(tinybox("exec", "-u", "nosuch", "executed", "true"), 126, "nosuch")
        one_line(tinybox("exec", "--env-file", "/nosuch", "executed", "true"), 1, "/nosuch")
        one_line(tinybox("exec", "-d", "executed", "/nosuch"), 1, "/nosuch")
        assert tinybox("exec", "executed", "sh", "-c", "exit 125").returncode == 125
        tinybox("pause", "executed")
        one_line(tinybox("exec", "executed", "/nosuch"), 1, "is paused")
        tinybox("unpause", "executed")


@pytest.mark.root
def test_statuses_of_start(tinybox: Command) -> None:
    """A box whose program is missing: run is 127, start and start -a are 1, as docker's."""
    assert tinybox("run", "--rm", "busybox", "/nosuch").returncode == 127
    try:
        assert tinybox("create", "--name", "started", "busybox", "/nosuch").returncode == 0
        for words in (("start",), ("start", "-a")):
            one_line(tinybox(*words, "started"), 1, "/nosuch")
    finally:
        tinybox("rm", "started")
