"""docker's groups, other names, ways to write options, and what a wrong word is answered."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import click
import pytest

from tests.support import image_archives as tar
from tests.support.boxes import kept, named, one_line, output
from tinybox import __version__
from tinybox.cli import app
from tinybox.cli.written_options import plain
from tools.docker_words import command_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command


@pytest.mark.parametrize("group", ["", "container", "image", "volume", "network", "system", "builder", "compose"])
def test_a_bare_group_is_help(tinybox: Command, group: str) -> None:
    """A group alone, with -h, with --help, and after `help`, lists its commands; the status is 0."""
    words = group.split()
    for line in (words, [*words, "-h"], [*words, "--help"], ["help", *words]):
        done = tinybox(*line)
        assert (done.returncode, done.stderr, "\nCommands:\n" in done.stdout) == (0, "", True), (line, done)


def test_help_names_a_command(tinybox: Command) -> None:
    """`help volume rm` is `volume rm --help`; `ps -h` is help, but -h of `run` is the host name."""
    assert tinybox("help", "volume", "rm").stdout == tinybox("volume", "rm", "--help").stdout != ""
    assert tinybox("ps", "-h").stdout == tinybox("ps", "--help").stdout != ""
    assert "-h" in tinybox("run", "-h").stderr
    assert tinybox("-v").stdout == f"tinybox, version {__version__}\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("imags",), "did you mean images?"),
        (("container", "startt"), "did you mean start?"),
        (("volume", "creat"), "did you mean create?"),
        (("network", "conect"), "did you mean connect?"),
        (("compose", "upp"), "did you mean up?"),
    ],
)
def test_a_wrong_word_has_a_nearest_one(tinybox: Command, words: tuple[str, ...], meant: str) -> None:
    """At each level a word that is no command is answered with the nearest one, in one line, with status 1."""
    one_line(tinybox(*words), 1, f"{words[-1]}: there is no such command", meant)


def test_a_word_far_from_all_has_none(tinybox: Command) -> None:
    """A word that is near to no command is answered with the way to the help alone."""
    done = tinybox("network", "qqqq")
    one_line(done, 1, "there is no such command (tinybox network --help)")
    assert "did you mean" not in done.stderr


@pytest.mark.parametrize("word", sorted(app.ELSEWHERE))
def test_words_for_many_machines_name_a_cure(tinybox: Command, word: str) -> None:
    """`swarm`, `context`, `plugin` and the others say in one line what to use."""
    one_line(tinybox(word, "ls"), 1, f"{word}: is not a command of tinybox", app.ELSEWHERE[word])


WAYS = {
    "run": [
        ("-e=A=b -m=64m x", "--env=A=b --memory=64m x"),
        ("-itd x", "--interactive --tty --detach x"),
        ("-d -d=false x", "--detach --no-detach x"),
        ("-it=false x -d=false", "--interactive --no-tty x -d=false"),
        ("-e== x", "--env== x"),
        ("-p 80 -p80 x", "--publish=80 --publish=80 x"),
        ("--rm=0 -- x", "--no-rm -- x"),
    ],
    "ps": [
        ("-aq=false", "--all"),
        ("-a --all=false -q", "--quiet"),
        ("--all=false --all", "--all"),
        ("-n=3", "--last=3"),
        ("-n -1", "--last=-1"),
        ("-f=name=x", "--filter=name=x"),
    ],
    "attach": [("--sig-proxy=false x", "--sig-proxy=false x"), ("--sig-proxy x", "--sig-proxy=true x")],
    "pull": [("--explain x", "--explain=text x"), ("--explain=html -o y x", "--explain=html --output=y x")],
    "build": [("--explain --pull=false -t=y .", "--explain=text --tag=y .")],
    "commit": [("--pause=false x", "--no-pause x"), ("-p x", "--pause x")],
    "rm": [("x -f -- -v", "x --force -- -v"), ("-fv x", "--force --volumes x")],
    "logs": [("--tail -1 x", "--tail=-1 x"), ("--colour x", "--colour x"), ("-fz x", "--follow -z x")],
}


@pytest.mark.parametrize(("name", "line", "plainly"), [(name, *way) for name, ways in WAYS.items() for way in ways])
def test_options_are_read_as_docker_reads_them(name: str, line: str, plainly: str) -> None:
    """Each way to write an option becomes one that click reads; a second rewriting changes nothing."""
    command, _ = command_of(name)
    assert command is not None
    assert " ".join(plain(command, line.split())) == plainly
    assert " ".join(plain(command, plainly.split())) == plainly


def test_click_alone_does_not_read_them() -> None:
    """The control: click itself takes -n=3 for the value "=3", and refuses --all=false."""
    command, context = command_of("ps")
    assert command is not None
    for words in (["-n=3"], ["--all=false"]):
        with pytest.raises(click.UsageError):
            command.make_context("ps", words, parent=context.parent)


@pytest.mark.root
def test_options_have_effect_in_every_form(tinybox: Command) -> None:
    """-e=A=b sets a variable, --rm=true removes the box, and `rm --force=false` does not kill a running one."""
    assert output(tinybox, "-e=A=b", "--rm=true", "--network=none", "busybox", "sh", "-c", "echo $A") == "b\n"
    with kept(tinybox, "--rm", "--name", "stays", "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        one_line(tinybox("rm", "-f", "--force=false", "stays"), 1, "stays")
        assert tinybox("ps", "-q", "--filter=name=stays").stdout


@pytest.mark.root
def test_init_is_a_switch(tinybox: Command) -> None:
    """`--init busybox echo hi` runs echo; --init=false and =none make the program PID 1, =true and =reap do not."""
    assert output(tinybox, "--network=none", "--init", "busybox", "echo", "hi") == "hi\n"
    for mode, is_first in (("false", True), ("none", True), ("true", False), ("reap", False)):
        said = output(tinybox, "--network=none", f"--init={mode}", "busybox", "sh", "-c", "echo $$")
        assert (said == "1\n") is is_first, mode
    one_line(tinybox("run", "--init=twice", "busybox"), 125, "--init=twice: is not a mode of PID 1")


@pytest.mark.root
def test_the_group_container_has_the_same_commands(tinybox: Command) -> None:
    """`container run` prints and returns as `run`; `container ls`, `list` and `ps` are `ps`; `remove` is `rm`."""
    with named(tinybox) as name:
        done = tinybox(
            "container", "run", "--name", name, "--network", "none", "busybox", "sh", "-c", "echo hi; exit 7"
        )
        assert (done.returncode, done.stdout) == (7, "hi\n")
        form = ("-a", "--format", "{{.ID}} {{.Names}} {{.State}}")  # without ages, which grow between the commands
        lists = [tinybox(*words.split(), *form) for words in ("ps", "container ls", "container list", "container ps")]
        assert name in lists[0].stdout
        assert all(each.stdout == lists[0].stdout for each in lists)
        assert tinybox("container", "logs", name).stdout == "hi\n"
        assert json.loads(tinybox("container", "inspect", name).stdout)[0]["State"]["ExitCode"] == 7
        one_line(tinybox("container", "exec", name, "true"), 1, "not running")
        assert tinybox("container", "remove", name).stdout == f"{name}\n"
        assert name not in tinybox("ps", "-a").stdout


@pytest.mark.root
def test_container_prune_keeps_what_runs(tinybox: Command) -> None:
    """`container prune` removes the stopped box with the label, after a question, and not the running one."""
    label = ("--label", f"kind=pruned{os.getpid()}")
    with kept(tinybox, "--rm", *label, "--name", "runs", "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        assert tinybox("run", *label, "--name", "ended", "--network", "none", "busybox", "true").returncode == 0
        wanted = ("--filter", f"label={label[1]}")
        assert "Are you sure" in tinybox("container", "prune", *wanted, text="n\n").stdout
        assert "ended" in tinybox("ps", "-a").stdout
        done = tinybox("container", "prune", "-f", *wanted)
        assert done.stdout.startswith("Deleted Containers:\n")
        assert "Total reclaimed space: " in done.stdout
        assert "ended" not in tinybox("ps", "-a").stdout
        assert "runs" in tinybox("ps").stdout


@pytest.mark.root
def test_inspect_finds_networks_and_volumes(tinybox: Command) -> None:
    """`inspect` shows a volume and a network; with another --type it does not find them."""
    name = f"thing{os.getpid()}"
    try:
        for kind in ("volume", "network"):
            assert tinybox(kind, "create", name).returncode == 0
            found = json.loads(tinybox("inspect", "--type", kind, name).stdout)
            assert found == json.loads(tinybox(kind, "inspect", name).stdout)
            assert tinybox("inspect", "--type", "image", name).returncode == 1
        assert json.loads(tinybox("inspect", name).stdout)[0]["Driver"] == "bridge"
        assert "no such container, image, network or volume" in tinybox("inspect", f"{name}x").stderr
    finally:
        tinybox("volume", "rm", name)
        tinybox("network", "rm", name)


@pytest.mark.root
def test_sizes_are_those_of_the_files(tinybox: Command) -> None:
    """`ps -s` and `inspect -s` show what the box has written: a megabyte; without -s there is no size."""
    with named(tinybox) as name:
        words = ("busybox", "dd", "if=/dev/zero", "of=/file", "bs=1024", "count=1024")
        assert tinybox("run", "--name", name, "--network", "none", *words).returncode == 0
        known = json.loads(tinybox("inspect", "-s", name).stdout)[0]
        assert 1 << 20 <= known["SizeRw"] < (1 << 20) + 65536
        assert known["SizeRootFs"] > known["SizeRw"]
        assert "SizeRw" not in json.loads(tinybox("inspect", name).stdout)[0]
        listed = tinybox("ps", "-as", "--filter", f"name={name}").stdout
        assert "1.05MB (virtual " in listed
        assert "SIZE" not in tinybox("ps", "-a").stdout


@pytest.mark.root
def test_info_and_version_have_dockers_fields(tinybox: Command) -> None:
    """`info` counts the containers by state, as a template and as JSON; `version` has a client and a server."""

    def counts() -> list[int]:
        return [int(word) for word in tinybox("info", "-f", "{{.Containers}} {{.ContainersRunning}}").stdout.split()]

    before = counts()
    with kept(tinybox, "--rm", "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        assert counts() == [before[0] + 1, before[1] + 1]
    facts = json.loads(tinybox("system", "info", "--format", "json").stdout)
    assert facts["KernelVersion"] == os.uname().release
    assert facts["NCPU"] == len(os.sched_getaffinity(0))
    assert facts["DockerRootDir"] == tinybox.root
    assert (facts["ServerVersion"], facts["OSType"]) == (__version__, "linux")
    assert tinybox("version", "--format", "{{.Server.Version}}").stdout == f"{__version__}\n"
    assert {"Client", "Server"} == set(json.loads(tinybox("version", "-f", "json").stdout))
    assert f" Kernel:            {os.uname().release}\n" in tinybox("version").stdout


@pytest.mark.root
def test_import_changes_the_image(tinybox: Command, tmp_path: Path) -> None:
    """`import -c -m --platform` without a name makes an image with these settings; without them it has none."""
    (tmp_path / "x.tar").write_bytes(tar.archive([tar.regular("file", b"x")]))
    options = ("-c", "CMD /file", "--change=ENV A=b", "-m", "from a test", "--platform", "linux/arm64")
    ids = [tinybox("import", *words, str(tmp_path / "x.tar")).stdout.strip() for words in (options, ())]
    try:
        made, bare = (json.loads(tinybox("image", "inspect", one).stdout)[0] for one in ids)
        assert (made["Config"]["Cmd"], made["Config"]["Env"]) == (["/bin/sh", "-c", "/file"], ["A=b"])
        assert (made["Architecture"], made["RepoTags"]) == ("arm64", [])
        assert "from a test" in tinybox("history", ids[0]).stdout
        assert "from a test" not in tinybox("history", ids[1]).stdout
        assert not bare["Config"].get("Cmd")
    finally:
        tinybox("rmi", "-f", *ids)
    one_line(tinybox("import", "-c", "FRY x", str(tmp_path / "x.tar")), 1, "--change 'FRY x': is no instruction")


@pytest.mark.root
def test_top_takes_options_of_ps(tinybox: Command) -> None:
    """`top NAME -o pid,args` prints ps's columns, of the box's processes alone; without PID it says what is missing."""
    with kept(tinybox, "--rm", "--name", "topped", "busybox", "sh", "-c", "echo READY; exec sleep 1234"):
        lines = tinybox("top", "topped", "-o", "pid,args").stdout.splitlines()
        assert lines[0].split() == ["PID", "COMMAND"]
        assert any(line.endswith("sleep 1234") for line in lines)
        assert len(lines) == len(tinybox("top", "topped").stdout.splitlines())
        assert str(os.getpid()) not in " ".join(lines).split()
        assert "%CPU" in tinybox("container", "top", "topped", "aux").stdout
        assert "STIME" in tinybox("top", "topped", "-ef").stdout
        assert len(tinybox("top", "topped", "--format", "{{.PID}}").stdout.splitlines()) == len(lines) - 1
        one_line(tinybox("top", "topped", "-o", "comm"), 1, "ps -o comm: it prints no column PID")
        one_line(tinybox("top", "topped", "--nonsense"), 1, "ps --nonsense: ")


@pytest.mark.root
def test_filters_of_ports(tinybox: Command) -> None:
    """`ps --filter publish=` has the port of the host, `expose=` that of the box; a range and a protocol count."""
    words = ("--rm", "--network", "bridge", "-p", "127.0.0.1:18080:80", "--expose", "53/udp", "--name", "ported")
    with kept(tinybox, *words, "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        there = "publish=18080 publish=18000-18100/tcp expose=80 expose=53/udp expose=50-60/udp".split()
        for value in (*there, "publish=80", "publish=18080/udp", "expose=53"):
            found = tinybox("ps", "--format", "{{.Names}}", "--filter", value).stdout.split()
            assert ("ported" in found) is (value in there), value
        either = ("--filter", "publish=9", "--filter", "expose=80")  # in docker the two keys are alternatives
        assert "ported" in tinybox("ps", "--format", "{{.Names}}", *either).stdout.split()
        assert "ported" not in tinybox("ps", *either, "--filter", "name=other").stdout.split()
        one_line(tinybox("ps", "--filter", "publish=x"), 1, "--filter publish=x")


@pytest.mark.root
def test_other_spellings_have_the_same_effect(tinybox: Command) -> None:
    """-c is --cpu-shares, --net, --net-alias and --dns-opt are the long names, `stop --timeout` is -t."""
    network = f"spelled{os.getpid()}"
    assert tinybox("network", "create", network).returncode == 0
    try:
        words = ("-c", "512", "--net", network, "--net-alias", "other", "--dns-opt", "ndots:3", "--name", "spelled")
        script = "trap '' TERM; echo READY; while :; do sleep 0.1; done"
        with kept(tinybox, "--rm", *words, "busybox", "sh", "-c", script):
            [known] = json.loads(tinybox("inspect", "spelled").stdout)
            assert known["HostConfig"]["CpuShares"] == 512
            assert known["HostConfig"]["DnsOptions"] == ["ndots:3"]
            assert "other" in known["NetworkSettings"]["Networks"][network]["Aliases"]
            short, whole = (tinybox("stats", "--no-stream", *more, "--format", "{{.ID}}", "spelled").stdout.strip()
                            for more in ((), ("--no-trunc",)))  # fmt: skip
            assert (whole, short) == (known["Id"], known["Id"][:12])
            started = time.monotonic()
            assert tinybox("stop", "--timeout", "1", "spelled").returncode == 0
            assert 0.9 < time.monotonic() - started < 8
    finally:
        tinybox("network", "rm", network)
