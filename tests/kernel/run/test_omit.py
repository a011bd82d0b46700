"""`run --omit` and `--chroot`: each omitted wall shows what it is for, and the host stays unharmed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line, output, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

RUN = ("run", "--rm", "--network", "none")
WHOLE = r"the host: its \d+ mounts are the same as before, and /proc is one of them"


@pytest.fixture(autouse=True)
def host_is_whole() -> Iterator[None]:
    """Fail a test after which the host's mounts, or its /proc, are not as they were."""
    before = Path("/proc/self/mountinfo").read_text()
    yield
    assert Path("/proc/self/mountinfo").read_text() == before
    assert Path("/proc/1/comm").exists()


def omitting(tinybox: Command, *words: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run *script* in a box without some wall; tinybox must have printed the warning, and found the host unharmed."""
    done = tinybox(*RUN, *words, "busybox", "sh", "-c", script)
    assert re.search(r"^warning ", done.stderr, re.MULTILINE), done
    assert re.search(WHOLE, " ".join(done.stderr.split())), done
    assert max(map(len, done.stderr.splitlines())) <= 120
    return done


def found(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    """Assert that the measurement of the box that tinybox prints contains *pattern*."""
    whole = done.stderr.replace("/\n         ", "/").replace("\n         ", " ")  # a path may be wrapped behind a slash
    said = " ".join(line for line in whole.splitlines() if line.startswith("found"))
    assert re.search(pattern, said), done.stderr


def test_without_private_mounts_the_boxes_mounts_appear_outside_and_pivot_root_refuses(tinybox: Command) -> None:
    """The classic mistake under systemd: EINVAL, and the mounts appear in the (temporary) namespace outside."""
    done = omitting(tinybox, "--omit", "private-mounts", script="true")
    assert done.returncode == 125
    assert "tinybox: pivot: pivot_root: Invalid argument" in done.stderr
    found(done, r"\d+ mounts of the box are now outside of it: overlay on \S+/rootfs")


def test_without_pivot_the_program_sees_the_hosts_files_and_cannot_write_them(tinybox: Command) -> None:
    """Its / is the host's, read-only to protect the host, with the sockets in /run hidden."""
    script = "stat -c %i /; echo x > /var/tmp/tinybox-was-here; ls /run | wc -l"
    done = omitting(tinybox, "--omit", "pivot", script=script)
    inode, sockets = done.stdout.split()
    assert int(inode) == Path("/").stat().st_ino
    assert sockets == "0"
    assert "Read-only file system" in done.stderr
    assert not Path("/var/tmp/tinybox-was-here").exists()
    found(done, "the box's / is the host's /")
    assert int(output(tinybox, "--network", "none", "busybox", "stat", "-c", "%i", "/")) != int(inode)  # the control


def test_without_proc_no_processes_are_seen(tinybox: Command) -> None:
    """/proc is an empty directory, and ps has no line to print."""
    done = omitting(tinybox, "--omit", "proc", script="ls /proc | wc -l")
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done
    found(done, "/proc in the box has 0 entries")
    assert int(output(tinybox, "--network", "none", "busybox", "sh", "-c", "ls /proc | wc -l")) > 10  # the control


ORPHAN = "(sleep 0.1 & ); exec sleep 0.6"  # its parent has ended before, and sleep(1) reaps no children


def test_without_init_orphans_stay_zombies(tinybox: Command) -> None:
    """PID 1 is the program; an orphan that ends becomes its child, and the program never waits for it."""

    def seen() -> bool:
        """Tell whether the zombie was seen: a slow poll may miss it."""
        done = omitting(tinybox, "--omit", "init", script=ORPHAN)
        found(done, r"at most \d zombies at once .* no handler for SIGTERM")
        return "at most 0 zombies" not in done.stderr

    until(seen)


def test_without_a_cgroup_no_limit_applies(tinybox: Command) -> None:
    """More memory than -m is available, because the box is counted with tinybox; and it can make no device."""
    take = "head -c 40m /dev/zero | tail | wc -c; mknod /tmp/disk b 8 0"
    done = omitting(tinybox, "--omit", "cgroup", "-m", "16m", script=take)
    assert done.stdout.strip() == str(40 << 20)
    assert "mknod: /tmp/disk: Operation not permitted" in done.stderr
    found(done, "the same groups as tinybox itself")
    assert tinybox(*RUN, "-m", "16m", "busybox", "sh", "-c", take).returncode == 137  # the control


def test_without_dropping_capabilities_root_keeps_them_all(tinybox: Command) -> None:
    """CAP_SYS_ADMIN is in the set, and with it much of the host's power; in an ordinary box it is not."""
    script = "grep CapEff /proc/self/status"
    done = omitting(tinybox, "--omit", "caps", script=script)
    sets = [int(said.split()[1], 16) for said in (done.stdout, output(tinybox, "busybox", "sh", "-c", script))]
    assert [mask >> 21 & 1 for mask in sets] == [1, 0]
    found(done, r"root in the box has \d+ capabilities")


def test_without_seccomp_every_call_is_open(tinybox: Command) -> None:
    """`Seccomp:` in /proc/self/status is 0, and 2 in an ordinary box."""
    script = "grep ^Seccomp: /proc/self/status"
    assert omitting(tinybox, "--omit", "seccomp", script=script).stdout.split()[1] == "0"
    assert output(tinybox, "busybox", "sh", "-c", script).split()[1] == "2"


def test_without_loopback_a_box_cannot_reach_itself(tinybox: Command) -> None:
    """127.0.0.1 is unreachable, while in an ordinary box it answers."""
    script = "ping -c 1 -W 30 127.0.0.1 >/dev/null 2>&1; echo $?"
    assert omitting(tinybox, "--omit", "loopback", script=script).stdout.strip() != "0"
    assert output(tinybox, "--network", "none", "busybox", "sh", "-c", script).strip() == "0"


def test_a_chroot_is_left_by_dot_dot(tinybox: Command) -> None:
    """--chroot: the program sees the image; a second chroot leads out to the host's /, where it cannot write."""
    climb = "mkdir /x; echo inside; exec 3</; chroot /x true 2>/dev/null; ls / | wc -l"
    done = omitting(tinybox, "--chroot", script=climb)
    assert done.returncode == 0, done
    assert done.stdout.startswith("inside\n")
    found(done, r"climbed out: it reached a / with \d+ entries, the host's own")


def test_several_walls_can_be_left_out_at_once(tinybox: Command) -> None:
    """--omit A,B and --omit A --omit B: each wall has its warning and its measurement."""
    done = omitting(tinybox, "--omit", "seccomp,loopback", "--omit", "proc", script="true")
    for name in ("seccomp", "loopback", "proc"):
        found(done, f"without {name}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--omit", "kernel"), "private-mounts, pivot"),
        (("--chroot", "--omit", "pivot"), "one of the two"),
        (("--omit", "pivot,caps"), "one wall at a time"),
        (("--chroot", "--omit", "cgroup"), "one wall at a time"),
        (("--omit", "pivot", "--privileged"), "no box at all"),
        (("--chroot", "--cap-add", "SYS_ADMIN"), "no box at all"),
        (("-d", "--omit", "proc"), "in the foreground"),
    ],
)
def test_dangerous_omissions_are_refused(tinybox: Command, words: tuple[str, ...], said: str) -> None:
    """Unknown names, and walls that may not be omitted together, are one line; nothing has been done."""
    one_line(tinybox(*RUN, *words, "busybox", "true"), 125, said)


def test_the_plan_shows_the_omission_and_the_protection_of_the_host(tinybox: Command) -> None:
    """--dry-run: no step `pivot`, but the steps of the guard and the outer namespace, which an ordinary plan lacks."""
    plain, changed = (
        set(
            re.findall(r"^ *\d+ \w+ +(\S+)", tinybox(*RUN, *words, "--dry-run", "busybox", "true").stdout, re.MULTILINE)
        )
        for words in ((), ("--omit", "pivot"))
    )
    parameters = {f"sysctl-net.ipv4.{name}" for name in ("ip_unprivileged_port_start", "ping_group_range")}
    assert plain - changed == {"pivot", *parameters}  # the host's /proc, which is read-only then, is still in view
    assert changed - plain == {"guard", "outer", "home"}
