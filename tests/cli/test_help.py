"""Help exists, is complete and is ordered: every command, every option of run, in groups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line

if TYPE_CHECKING:
    from tests.conftest import Command

# All options of `run`.
OPTIONS = (
    "--name --rm -i --interactive -t --tty --init --stop-signal --env -e --env-file --workdir -w --user -u "
    "--entrypoint --hostname -h --label --memory -m --memory-swap --cpus --cpu-shares --cpuset-cpus --pids-limit "
    "--device-read-bps --device-write-bps --ulimit --oom-score-adj --shm-size --volume -v --mount --tmpfs --read-only "
    "--device --uts --pid --ipc --net --network --cgroupns --userns --cap-add --cap-drop --privileged --security-opt "
    "--sysctl --dry-run --bundle"
).split()


def test_run_names_every_option(tinybox: Command) -> None:
    """`tinybox run --help` lists all these options, and no option that does not exist."""
    done = tinybox("run", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    words = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", done.stdout))
    assert set(OPTIONS) - words == set()
    assert "--colour" not in words


def test_every_command_has_help(tinybox: Command) -> None:
    """Each command that `tinybox --help` lists with a sentence has a longer help of its own."""
    listed = re.findall(r"^  ([a-z]+)  +(\S.*)$", tinybox("--help").stdout, re.MULTILINE)
    commands = dict(listed)
    assert {"run", "diff", "images", "import", "pull", "rm", "rmi"} <= set(commands)
    for name in commands:
        done = tinybox(name, "--help")
        assert (done.returncode, done.stderr) == (0, ""), name
        told_by_itself = f"tinybox-{name} ["  # `tinybox oci` names itself tinybox-oci
        assert done.stdout.startswith((f"Usage: tinybox {name}", told_by_itself)), name


def test_the_version_is_printed(tinybox: Command) -> None:
    """`tinybox --version` is one line with a number."""
    assert re.fullmatch(r"tinybox, version \d+\.\d+\.\d+\n", tinybox("--version").stdout)


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_no_command_is_help(tinybox: Command, words: tuple[str, ...]) -> None:
    """`tinybox` alone, and a group alone, list the commands; an unknown one is an error of one line."""
    for group in ((), ("image",), ("volume",)):
        done = tinybox(*group, *words)
        assert (done.returncode, done.stderr, "\nCommands:\n" in done.stdout) == (0, "", True), done
    one_line(tinybox("colour"), 1, "colour")


@pytest.mark.root
def test_options_end_at_the_image(tinybox: Command) -> None:
    """All arguments after the image belong to the program, also those that look like options of tinybox."""
    assert tinybox("run", "--rm", "busybox", "echo", "--help", "-m", "--rm").stdout == "--help -m --rm\n"
    assert tinybox("run", "--rm", "--", "busybox", "echo", "--", "x").stdout == "-- x\n"
