"""Wrong options: each is one line with the thing, the cause and, if there is one, the cure; status 125, no trace."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, one_line

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

# Arguments of `tinybox run`, and parts of the expected line; image and program are added if they are missing.
WRONG = [
    ("-m 12Q", "--memory 12Q: is not a size (write a number and b, k, m or g: 32m)"),
    ("-m 1k", "--memory 1k: is too little"),
    ("-m -5m", "is not a size"),
    ("-m 64m --memory-swap 32m", "--memory-swap 32m: is less than --memory"),
    ("-m 32m --memory-reservation 64m", "--memory-reservation 64m: is more than --memory 32m"),
    ("--memory-reservation 1m", "--memory-reservation 1m: is too little"),
    ("--memory-swap 32m", "needs a memory limit (add --memory)"),
    ("--cpus x", "--cpus x: is not a number"),
    ("--cpus 1e3", "--cpus 1e3: is not a number"),
    ("--cpus 4000", "--cpus 4000"),
    ("--cpu-shares 1", "--cpu-shares 1"),
    ("--cpu-quota 999", "--cpu-quota 999: is not a whole number from 1000"),
    ("--cpu-period 1000001", "--cpu-period 1000001: is not a whole number from 1000 to 1000000"),
    ("--cpus 0.5 --cpu-quota 5000", "--cpu-quota 5000: conflicts with --cpus (leave one of them out)"),
    ("--cpuset-mems x", "--cpuset-mems x: is no list of memory nodes"),
    ("--group-add nobodies", "--group-add nobodies: no group nobodies in the image's /etc/group"),
    ("--device-cgroup-rule c", "--device-cgroup-rule c: is no rule"),
    ("--cpuset-cpus a", "--cpuset-cpus a: is no list of CPUs (write 0-1 or 0,3)"),
    ("--cpuset-cpus ,", "--cpuset-cpus ,: is no list of CPUs"),
    ("--cpuset-cpus 1-0", "--cpuset-cpus 1-0: is no list of CPUs"),
    ("--cpuset-cpus 0-4000", "--cpuset-cpus 0-4000: this host has only the CPUs 0"),
    ("--cpuset-mems 1000", "--cpuset-mems 1000: this host has only the memory nodes 0"),
    ("-o page.html", "--output page.html: is for the steps that are shown, and here none are (--explain -o FILE)"),
    ("--dry-run --explain -o page.html", "--output page.html: is for the steps that are shown"),
    ("--pids-limit many", "--pids-limit many: is not a whole number"),
    ("--device-read-bps /dev/null", "--device-read-bps /dev/null: has no ':' between two values"),
    ("--device-read-bps /dev/none:1m", "/dev/none: No such file or directory"),
    ("--device-write-bps /dev/null:1m", "/dev/null is not a block device"),
    ("--ulimit nofile", "--ulimit nofile"),
    ("--ulimit nofile=2:1", "the soft limit is above the hard one"),
    ("--ulimit colour=1", "no such limit (see getrlimit(2))"),
    ("--oom-score-adj 1001", "--oom-score-adj 1001"),
    ("--shm-size big", "--shm-size big: is not a size"),
    (
        "--mount type=bind,src=/no/such/place,dst=/x",
        "bind source path does not exist: /no/such/place (make it first; -v makes a directory)",
    ),
    ("-v /tmp:x", "with an absolute DST"),
    ("-v :/x", "--volume :/x"),
    ("-v /tmp:/x:backwards", "unknown option backwards"),
    ("-v a/b:/x", "'a/b' is no name of a volume"),
    ("-v /tmp:/", "the root itself cannot be mounted over"),
    ("-v /tmp:/proc/1", "covers /proc"),
    ("-v /tmp:/etc/passwd", "a directory cannot be mounted on a file"),
    ("-v /etc/passwd:/etc", "a file cannot be mounted on a directory"),
    ("--tmpfs x", "--tmpfs x: is not an absolute path"),
    ("--tmpfs /x:colour=red", "Unknown parameter 'colour'"),
    ("--tmpfs /x:size=big", "size"),
    ("--mount type=nfs,target=/x", "mount type unknown: nfs (bind, tmpfs, volume or image)"),
    ("--mount type=bind,source=/tmp,target=/x,readonly=yes", "invalid value for readonly: yes"),
    ("-v /tmp:/x -v /usr:/x/", "mount on /x: is asked for twice"),
    ("--tmpfs //x -v /usr:/y/../x", "mount on /x: is asked for twice"),
    ("--mount type=bind,target=/x", "a bind mount needs a source"),
    ("--mount type=bind,source=/tmp", "target is required"),
    ("--mount type=tmpfs,target=/x,colour=red", "unexpected key 'colour' in 'colour=red'"),
    ("--device /dev/none", "/dev/none: No such file or directory"),
    ("--device /etc/passwd", "/etc/passwd is not a device"),
    ("--device /dev/null:/dev/x:q", "access 'q'"),
    ("--uts elsewhere", "private, host or container:NAME"),
    ("--network elsewhere", "network elsewhere: not found"),
    ("--pid host --userns private", "--pid host with --userns private"),
    ("--pids-limit 1", "no more processes are allowed"),
    ("--pid container:nobody", "container nobody: no such container"),
    ("--cap-add FLY", "capability FLY: no such capability (see capabilities(7) for the names)"),
    ("--cap-drop FLY", "capability FLY"),
    ("--security-opt colour=red", "--security-opt colour=red: is unknown"),
    ("--security-opt seccomp=/no/such/file", "seccomp=/no/such/file"),
    ("--security-opt seccomp=/etc/passwd", "seccomp=/etc/passwd"),
    ("--sysctl kernel.panic=1", "--sysctl kernel.panic=1"),
    ("--sysctl net.colour=1", "net.colour: No such file or directory"),
    ("--sysctl net.ipv4.ip_forward", "--sysctl net.ipv4.ip_forward"),
    ("--init=twice", "--init=twice: is not a mode of PID 1 (forward, reap or none)"),
    ("--stop-signal LOUD", "--stop-signal LOUD: is not a signal"),
    ("--name a", "container name 'a': is not allowed"),
    ("--name ../up", "container name '../up': is not allowed"),
    ("-u nobody-here", "no user nobody-here in the image's /etc/passwd"),
    ("-u 0:nobody-here", "no group nobody-here in the image's /etc/group"),
    ("-w not/absolute", "--workdir not/absolute: is not an absolute path"),
    ("-w /etc/passwd", "working directory /etc/passwd"),
    ("-e =x", "--env =x: has no name before the ="),
    ("--env-file /no/such/file", "--env-file /no/such/file: No such file or directory"),
    ("--env-file /bin/busybox", "--env-file /bin/busybox: is not UTF-8 text"),
    ("-u " + "9" * 5000, "--user 999"),
    ("-u " + "9" * 11, "user and group numbers go from 0"),
    ("-m " + "9" * 400, "is not a size"),
    ("-h " + "x" * 65, "hostname"),
    ("--no-such-option", "No such option '--no-such-option'"),
    ("--rm=maybe", "--rm"),
]
CURE = re.compile(r"\(.+\)$")


@pytest.mark.parametrize(("words", "line"), WRONG, ids=[words[:40] for words, _ in WRONG])
def test_wrong_options_are_one_line(tinybox: Command, words: str, line: str) -> None:
    """The line names the wrong argument; nothing runs, and nothing stays: neither box, nor name, nor volume."""
    before = _kept(tinybox)
    status = 127 if "/dev/none" in words else 125  # docker's for a missing file of the host
    one_line(tinybox("run", *words.split(), "busybox", "true"), status, line)
    assert _kept(tinybox) == before


def _kept(tinybox: Command) -> list[str]:
    """List all that boxes have left in the store."""
    folders = ("run", "containers", "container-names", "volumes")
    return sorted(str(path) for folder in folders for path in Path(tinybox.root, folder).glob("*"))


def test_the_same_options_corrected_are_accepted(tinybox: Command) -> None:
    """The control: an option of each kind with a valid value; the program runs."""
    words = (
        "-m 32m --memory-swap 64m --memory-reservation 16m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 9 "
        "--ulimit nofile=9:99 --oom-score-adj 9 --shm-size 1m -v /tmp:/x:ro --tmpfs /y:size=1m "
        "--mount type=tmpfs,target=/z --device /dev/null:/n --uts private --network none "
        "--pid private --ipc private --cgroupns private --cap-add NET_ADMIN --cap-drop KILL "
        "--security-opt no-new-privileges --sysctl net.ipv4.ip_forward=1 "
        "--init=reap --stop-signal INT --name right-words -u 0:0 -w /etc -e A=b -h name --label x=y --read-only"
    )
    done = tinybox("run", "--rm", *words.split(), "busybox", "echo", "done")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_missing_image_names_the_cure(tinybox: Command) -> None:
    """Unknown images, and invalid image names, are one line each; the first names the command that gets an image."""
    never = ("run", "--pull", "never")
    one_line(tinybox(*never, "nobodys-image", "true"), 125, "No such image: nobodys-image:latest", "tinybox pull")
    one_line(tinybox("run", "NOT A NAME", "true"), 125, "NOT A NAME")
    one_line(tinybox("run", "../../etc", "true"), 125, "../../etc")
    one_line(tinybox(*never, "busybox:no-such-tag", "true"), 125, "busybox:no-such-tag")
    done = tinybox("run", "localhost:1/nobodys-image", "true")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        125,
        "Unable to find image 'localhost:1/nobodys-image:latest' locally",
    )
    assert done.stderr.splitlines()[-1].startswith("tinybox: registry localhost:1: cannot be reached")
    one_line(
        tinybox(*never, "busybos", "true"), 125, "No such image: busybos:latest (did you mean busybox? tinybox pull"
    )


@pytest.mark.parametrize(
    "words", ["run", "run --name", "run --rm", "no-such-command", "run -m", "images --no-such", "rmi"]
)
def test_half_a_command_line(tinybox: Command, words: str) -> None:
    """Missing and unknown words are reported in one line that names the help; only options are 125, as in docker."""
    one_line(tinybox(*words.split()), 125 if words in ("run --name", "run -m", "images --no-such") else 1, "--help")


def test_a_name_in_use_names_its_container(tinybox: Command) -> None:
    """A second box of the same name is refused with the id of the first one and the cure; the first one is unharmed."""
    name = new_name()
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", "exit 3").returncode == 3
    done = tinybox("run", "--name", name, "busybox", "true")
    one_line(done, 125, f'"{name}"', "is already in use by container", f"tinybox rm {name}")
    container = os.readlink(Path(tinybox.root, "container-names", name))
    assert container[:12] in done.stderr
    assert tinybox("rm", name).returncode == 0
    assert tinybox("run", "--rm", "--name", name, "busybox", "true").returncode == 0


def test_arguments_that_are_not_utf_8_pass_through(tinybox: Command) -> None:
    """Arguments and variables are bytes for the kernel: bytes that are not UTF-8 arrive unchanged."""
    odd = os.fsdecode(b"caf\xe9")
    done = tinybox(
        "run", "--rm", "-e", f"ODD={odd}", "busybox", "sh", "-c", 'printf %s "$ODD $1" | od -An -tx1', "sh", odd
    )
    assert done.stdout.split() == b"caf\xe9 caf\xe9".hex(" ").split(), done.stderr
