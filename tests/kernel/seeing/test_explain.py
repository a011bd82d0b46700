"""`run --explain`: every step is reported as it happens, with its calls and changes; the run itself is unchanged."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tests.support.boxes import one_line
from tests.support.screens import screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

RUN = ("run", "--rm", "--network", "none")
ESCAPE = "\x1b["


def unfolded(told: str) -> str:
    """Join wrapped lines, with or without a space: where they break depends on the length of paths and numbers."""
    return re.sub(r"\n {13}(?=\S)", "", told)


def test_every_step_of_the_plan_is_reported_with_its_sentence(tinybox: Command) -> None:
    """--explain reports the steps that --dry-run plans, one by one, on stderr; stdout is the program's."""
    planned = tinybox(*RUN, "--dry-run", "busybox", "echo", "hello").stdout
    done = tinybox(*RUN, "--explain", "busybox", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done
    names = re.findall(r"^ *\d+ (?:parent|child) +(\S+)", planned, re.MULTILINE)
    assert len(names) > 30
    told = re.findall(r"^ *\d+ (?:host|box) +(\S+):", done.stderr, re.MULTILINE)
    assert sorted(told) == sorted(names)


def test_kernel_changes_are_reported(tinybox: Command) -> None:
    """New namespaces by inode, new mounts, the limit's file, the link that is up, the dropped capabilities."""
    told = unfolded(tinybox(*RUN, "-m", "32m", "--explain", "busybox", "true").stderr)
    for pattern in (
        r"mnt *namespace *\d{10} *-> *\d{10}",
        r"\+ *\d+ *\d+ *\d+:\d+ */ *\S*/proc *rw, *nosuid",
        r"/memory\S* *= *33554432\n",
        r"links *lo *index *1, *down *-> *index *1, *up, *127\.0\.0\.1/8",
        r"bounding *capabilities *\w+ *-> *\w+: *14 *left; *without *CAP_DAC_READ_SEARCH",
        r"permitted *capabilities *\w+ *-> *\w+: *14 *left; *without *the *same\n",
        r"~ *\d+ *proc *moved *from *\S+/rootfs/proc *to */proc\n",
        r"rights *seccomp *0 *-> *2\n",
        r"undone *by: *SIGKILL *for *the *child",
        r"host *afterwards\n(?s:.*)rmdir\(",
    ):
        assert re.search(pattern, told), pattern
    control = tinybox(*RUN, "--explain", "--security-opt", "seccomp=unconfined", "busybox", "true")
    assert "rights seccomp" not in control.stderr


def test_it_fits_a_hundred_columns_and_has_no_colours_in_a_pipe(tinybox: Command) -> None:
    """No line is longer than 100 characters, whatever the paths, and a pipe gets no escape codes."""
    done = tinybox(*RUN, "--explain", "-v", f"{tinybox.root}:/{'x' * 150}", "busybox", "true")
    assert done.returncode == 0
    assert max(map(len, done.stderr.splitlines())) <= 100
    assert ESCAPE not in done.stderr


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_has_colours_unless_no_color_is_set(tinybox: Command, no_color: str) -> None:
    """On a terminal host and box have colours; with NO_COLOR set there are none."""
    tinybox.environment["NO_COLOR"] = no_color
    with screen(tinybox, *RUN, "--explain", "busybox", "true") as seen:
        assert seen.status() == 0
        assert (ESCAPE in seen.shown) == (not no_color)


def test_a_failed_step_is_reported_and_all_is_undone(tinybox: Command) -> None:
    """The step gives the reason; the exit status is the same as without --explain."""
    done = tinybox(*RUN, "--explain", "busybox", "nosuch")
    assert done.returncode == 127
    assert 'failed: exec "nosuch": executable file not found' in done.stderr
    assert "all that was made is undone" in done.stderr


@pytest.mark.parametrize("words", [("run", "-d"), ("create",)])
def test_explain_needs_the_foreground(tinybox: Command, words: tuple[str, ...]) -> None:
    """With -d, and with `create`, --explain is refused in one line."""
    one_line(tinybox(*words, "--explain", "busybox", "true"), 125, "--explain", "in the foreground")


def test_an_unknown_format_is_refused(tinybox: Command) -> None:
    """--explain=yaml lists the known formats."""
    one_line(tinybox(*RUN, "--explain=yaml", "busybox", "true"), 125, "text, json, html")


def test_a_reader_that_goes_away_does_not_end_the_box(tinybox: Command) -> None:
    """If stderr has no reader any more, the box goes on, and ends as its program ends."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([tinybox.path, *RUN, "--explain", "busybox", "sh", "-c", "echo on; exit 5"], check=False,
                          stdout=subprocess.PIPE, stderr=writing, env=tinybox.environment, timeout=TIMEOUT)  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stdout) == (5, b"on\n")


def test_each_link_is_reported_with_its_own_address(tinybox: Command) -> None:
    """In two networks, whose links another process makes, each link comes by index and state, then with its address."""
    for name, subnet in (("left", "10.231.1.0/24"), ("right", "10.231.2.0/24")):
        assert tinybox("network", "create", "--subnet", subnet, name).returncode == 0
    try:
        networks = ("--network", "left", "--network", "right")
        done = tinybox("run", "--rm", *networks, "--explain", "busybox", "true")
    finally:
        tinybox("network", "rm", "left", "right")
    assert done.returncode == 0, done
    step = re.split(r"^ *\d+ \w+ +", unfolded(done.stderr), flags=re.MULTILINE)
    (network,) = [text for text in step if text.startswith("network:")]
    told = re.findall(r"^ +in the box: links (eth\d)  (.*)$", network, re.MULTILINE)
    assert unfolded(done.stderr).count("in the box: links") == len(told)  # and at no other step
    for name, subnet in (("eth0", "10.231.1."), ("eth1", "10.231.2.")):
        changes = [said for link, said in told if link == name]
        assert re.match(r"- -> index \d+, ", changes[0]), told
        assert re.search(rf"up, {re.escape(subnet)}\d+/24$", changes[-1]), told
        for former, later in itertools.pairwise(changes):
            assert later.startswith(f"{former.partition(' -> ')[2]} -> ")


def test_the_network_step_tells_its_parts(tinybox: Command, tmp_path: Path) -> None:
    """Bridge, veth pair, NAT, forwarding and addresses are told with names; links change at this step alone."""
    path = tmp_path / "trace.json"
    options = ("--rm", "-m", "32m", "--network", "bridge", "-p", "18080:80")
    done = tinybox("run", *options, "--explain=json", "-o", str(path), "busybox", "true")
    assert done.returncode == 0, done
    events = [json.loads(line) for line in path.read_text().splitlines()]
    parts = {each["name"]: each["says"] for each in events if each["event"] == "part"}
    assert list(parts) == ["bridge", "veth", "nat", "forwarding", "addresses"]
    assert re.search(r"bridge tinybox\w+, .*172\.\d+\.\d+\.1/16", parts["bridge"])
    assert "18080/tcp of the host leads to 172." in parts["nat"]
    changed = {
        (step["name"], change["section"], change["key"])
        for step in events
        if step["event"] == "done"
        for change in [*step["child_changes"], *step["changes"]]
        if change["section"] in ("links", "cgroups")
    }
    links = {name: key for name, section, key in changed if section == "links" and key == "eth0"}
    assert links == {"network": "eth0"}
    assert {name for name, section, _ in changed if section == "cgroups"} <= {"join-cgroup", "cgroup-namespace"}
    messages = [each["shown"] for each in events if each["event"] == "call" and each["who"] == "links"]
    assert any("RTM_NEWLINK, IFLA_IFNAME=veth" in shown for shown in messages)
    assert any("RTM_NEWROUTE" in shown for shown in messages)
    (network,) = [each for each in events if each["event"] == "done" and each["name"] == "network"]
    assert all(row["path"].startswith("/proc/sys/net/") for row in network["written"])
