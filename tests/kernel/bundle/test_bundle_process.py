"""``process`` of config.json, compared with what the program finds in /proc."""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.detached_boxes import field
from tests.support.oci_bundles import Bundle, bundle

__all__ = ["bundle"]

pytestmark = pytest.mark.root

CAP_SYS_RESOURCE = 24  # its bit in the sets of /proc/PID/status; see capabilities(7)


def test_user_groups_and_umask_are_the_config_s(bundle: Bundle) -> None:
    """Uid, gid, supplementary groups and umask are the config's."""
    bundle.process["user"] = {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o027}
    said = bundle.says("id -u; id -g; id -G; umask; grep ^Groups /proc/self/status")
    assert said.split() == ["5", "6", "6", "7", "8", "0027", "Groups:", "7", "8"]


def test_an_unusable_id_is_refused(bundle: Bundle) -> None:
    """The last number of 32 bits means "do not change" to setresuid(2): refused; the one before is a valid user."""
    for name in ("uid", "gid"):
        bundle.process["user"] = {"uid": 5, "gid": 6} | {name: 2**32 - 1}
        bundle.refused(f"process.user.{name}: 4294967295 is not")
    bundle.process["user"] = {"uid": 2**32 - 2, "gid": 2**32 - 2}
    assert bundle.says("id -u; id -g; echo $HOME").split() == ["4294967294", "4294967294", "/"]
    bundle.process["user"] = {"uid": 0, "gid": 0}
    bundle.create("sleep 100")
    assert bundle.oci("start", bundle.name).returncode == 0
    assert bundle.oci("exec", "-u", "5:6", bundle.name, "id", "-u").stdout == "5\n"
    for user in ("4294967295", "5:4294967295", "99999999999"):
        done = bundle.oci("exec", "-u", user, bundle.name, "id")
        assert (done.returncode, done.stdout) == (125, "")
        assert "process.user." in done.stderr
    assert "process.cwd" in bundle.oci("exec", "--cwd", "tmp", bundle.name, "pwd").stderr


def test_environment_and_arguments_are_passed_unchanged(bundle: Bundle) -> None:
    """Arguments keep their spaces, variables their values; HOME is added if it is missing."""
    bundle.process["env"] = ["PATH=/bin", "COLOUR=red and blue"]
    bundle.process["args"] = ["sh", "-c", 'echo "$0|$1|$COLOUR|$HOME"', "a b", ""]
    assert bundle.says() == "a b||red and blue|/"


def test_the_working_directory_is_the_config_s(bundle: Bundle) -> None:
    """The program begins in cwd."""
    bundle.process["cwd"] = "/tmp"
    assert bundle.says("pwd") == "/tmp"


def test_limits_are_set_as_written(bundle: Bundle) -> None:
    """Soft and hard limit are the config's; limits that are not named do not change."""
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]
    assert bundle.says("ulimit -S -n; ulimit -H -n").split() == ["64", "128"]
    assert bundle.says("ulimit -S -s; ulimit -H -s").split() == [
        "unlimited" if limit == resource.RLIM_INFINITY else str(limit // 1024)
        for limit in resource.getrlimit(resource.RLIMIT_STACK)
    ]
    bundle.process["rlimits"] = [{"type": "RLIMIT_FSIZE", "soft": 2**63, "hard": 2**64 - 2}]  # beyond Python's own
    assert bundle.says("grep 'Max file size' /proc/self/limits").split()[3:5] == [str(2**63), str(2**64 - 2)]


def test_a_limit_that_may_not_be_raised_is_reported(bundle: Bundle) -> None:
    """Without CAP_SYS_RESOURCE a limit above the hard one is refused, with the reason; with it, it is set."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(Path("/proc/sys/fs/nr_open").read_text())  # the most that the kernel allows
    if wanted <= hard:
        pytest.skip("the hard limit is already the most that the kernel allows")
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": wanted}]
    if int(field(os.getpid(), "CapEff"), 16) >> CAP_SYS_RESOURCE & 1:
        assert bundle.says("ulimit -H -n") == str(wanted)
    else:
        bundle.refused("RLIMIT_NOFILE", "CAP_SYS_RESOURCE")


def test_capabilities_are_the_five_sets(bundle: Bundle) -> None:
    """Each of the five sets is exactly the config's, also for a user other than root."""
    kill, chown, net = 1 << 5, 1 << 0, 1 << 10
    bundle.process["user"] = {"uid": 9, "gid": 9}
    bundle.process["capabilities"] = {
        "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
        "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "effective": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "inheritable": ["CAP_NET_BIND_SERVICE"],
        "ambient": ["CAP_NET_BIND_SERVICE"],
    }
    said = dict(line.split() for line in bundle.says("grep ^Cap /proc/self/status").splitlines())
    assert {name: int(bits, 16) for name, bits in said.items()} == {
        "CapInh:": net,
        "CapPrm:": net,  # execve(2) leaves a user other than root the ambient set
        "CapEff:": net,
        "CapBnd:": kill | chown | net,
        "CapAmb:": net,
    }


KILL, BIND = "CAP_KILL", "CAP_NET_BIND_SERVICE"


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize(
    ("sets", "inherited", "warned"),
    [
        ({"bounding": [KILL], "permitted": [KILL], "ambient": [KILL]}, "0 0", "ambient: CAP_KILL: it is not in inher"),
        (
            {"bounding": [KILL], "inheritable": [KILL], "ambient": [KILL]},
            "20 0",
            "ambient: CAP_KILL: it is not in pe",
        ),
        ({"bounding": [KILL], "permitted": [KILL], "inheritable": [KILL, BIND]}, "20 0", f"inheritable: {BIND}: it is"),
        ({"bounding": [KILL], "permitted": [KILL], "effective": [KILL, BIND]}, "0 0", f"effective: {BIND}: it is not"),
        ({name: [KILL] for name in ("bounding", "permitted", "inheritable", "ambient")}, "20 20", ""),
    ],
)
def test_what_cannot_be_granted_is_a_warning(
    bundle: Bundle, sets: dict[str, list[str]], inherited: str, warned: str, uid: int
) -> None:
    """No set gets what it does not list, and the container runs; an ambient capability must be inheritable, too."""
    bundle.process.update(capabilities=sets, user={"uid": uid, "gid": uid})
    done = bundle.run("grep Cap /proc/self/status")
    found = {line.split()[0]: int(line.split()[1], 16) for line in done.stdout.splitlines()}
    assert [found["CapInh:"], found["CapAmb:"]] == [int(word, 16) for word in inherited.split()]
    assert (found["CapBnd:"], done.returncode) == (1 << 5, 0)
    assert found["CapEff:"] == found["CapPrm:"] & found["CapEff:"]
    assert warned in done.stderr
    assert bool(done.stderr) == bool(warned)


def test_exec_adds_an_ambient_capability_if_it_is_inheritable(bundle: Bundle) -> None:
    """`exec --cap` gives a user the capability for its program, if the container's inheritable set has it."""
    both = ["CAP_KILL", "CAP_NET_BIND_SERVICE"]
    bundle.process["capabilities"] = {"bounding": both, "inheritable": ["CAP_KILL"]}
    bundle.create("sleep 60")
    assert bundle.oci("start", bundle.name).returncode == 0
    for words, effective in ((both, 0x20), (["CAP_KILL"], 0x20), (["CAP_NET_BIND_SERVICE"], 0), ([], 0)):
        caps = [word for cap in words for word in ("--cap", cap)]
        done = bundle.oci("exec", "--user", "1000", *caps, bundle.name, "grep", "Cap[EA]", "/proc/self/status")
        assert (done.returncode, done.stderr) == (0, "")
        assert [int(line.split()[1], 16) for line in done.stdout.splitlines()] == [effective] * 2


def test_an_unknown_capability_is_a_warning(bundle: Bundle) -> None:
    """The container runs without it; the log names it."""
    bundle.process["capabilities"]["bounding"] = ["CAP_CHOWN", "CAP_FLY"]
    done = bundle.run("grep ^CapBnd /proc/self/status")
    assert done.returncode == 0, done
    assert int(done.stdout.split()[1], 16) == 1
    assert "CAP_FLY: there is no such capability" in done.stderr


@pytest.mark.parametrize("wanted", [True, False])
def test_no_new_privileges_is_the_config_s(bundle: Bundle, wanted: bool) -> None:
    """The flag is set, or not."""
    bundle.process["noNewPrivileges"] = wanted
    assert bundle.says("grep ^NoNewPrivs /proc/self/status").split() == ["NoNewPrivs:", str(int(wanted))]


def test_the_oom_score_is_set_or_unchanged(bundle: Bundle) -> None:
    """With oomScoreAdj it has that value, without it the one of tinybox itself."""
    with open("/proc/self/oom_score_adj", encoding="utf-8") as file:
        ours = file.read().strip()
    assert bundle.says("cat /proc/self/oom_score_adj") == ours
    bundle.process["oomScoreAdj"] = 500
    assert bundle.says("cat /proc/self/oom_score_adj") == "500"


def test_the_scheduler_is_the_config_s(bundle: Bundle) -> None:
    """Policy and nice value in /proc/self/sched are the config's; by default they are tinybox's own."""
    words = "cut -d' ' -f19,41 /proc/self/stat"
    (bundle.root / "bin/cut").symlink_to("busybox")
    assert bundle.says(words) == f"{os.nice(0)} 0"
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
    assert bundle.says(words) == "7 3"


def test_an_invalid_scheduler_is_named(bundle: Bundle) -> None:
    """An unknown policy, an unknown flag, and values that Linux refuses name their field."""
    bundle.process["scheduler"] = {"policy": "SCHED_ISO"}
    bundle.refused("process.scheduler.policy", "SCHED_ISO")
    bundle.process["scheduler"] = {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}
    bundle.refused("process.scheduler.flags[0]", "SCHED_FLAG_X")
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "priority": 5}
    bundle.refused("process.scheduler", "refuses")


def test_the_io_priority_is_the_config_s(bundle: Bundle) -> None:
    """ionice(1) shows the class and the level; a level above 7 is refused."""
    (bundle.root / "bin/ionice").symlink_to("busybox")
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    assert "prio 6" in bundle.says("ionice")
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    assert bundle.says("ionice").startswith("idle")
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 8}
    bundle.refused("process.ioPriority.priority", "8 is not from 0 to 7")


def test_personality_changes_the_machine_of_uname(bundle: Bundle) -> None:
    """LINUX32 shows a machine of 32 bits, LINUX the real one."""
    bundle.linux["personality"] = {"domain": "LINUX32"}
    narrow = bundle.run("uname -m")
    if narrow.returncode and os.uname().machine != "x86_64":
        pytest.skip("this machine has no 32-bit personality")
    bundle.linux["personality"] = {"domain": "LINUX"}
    wide = bundle.says("uname -m")
    assert (wide, narrow.stdout.strip() != wide) == (os.uname().machine, True)


@pytest.mark.parametrize(
    ("field", "there"),
    [("apparmorProfile", "/sys/module/apparmor/parameters/enabled"), ("selinuxLabel", "/sys/fs/selinux/enforce")],
)
def test_a_label_is_refused_if_its_module_is_not_enabled(bundle: Bundle, field: str, there: str) -> None:
    """Without AppArmor or SELinux the field of the label is named, and nothing is made."""
    if os.path.exists(there):
        pytest.skip("this host has the security module")
    bundle.process[field] = "unconfined"
    bundle.refused(f"process.{field}", "is not enabled on this host")
    assert not (bundle.path / "state" / bundle.name).exists()


def test_a_size_without_a_terminal_is_ignored(bundle: Bundle) -> None:
    """Without a terminal consoleSize has no effect, not even an absurd one."""
    bundle.process["consoleSize"] = {"height": 33, "width": 77}
    assert bundle.says("test -t 0 || echo none") == "none"


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_relayed_output_of_a_terminal_has_plain_newlines(bundle: Bundle, verb: str) -> None:
    """Who reads the output of `run` or `exec -t` in the foreground gets no carriage returns; a screen gets them.

    The container's terminal does not add them (ONLCR), and that of the caller goes on to process output, as with runc.
    """
    script = "echo one; stty -a 2>/dev/null | tr ';' '\\n' | grep -o -e '-*onlcr'"
    (bundle.root / "bin/stty").symlink_to("busybox")
    (bundle.root / "bin/tr").symlink_to("busybox")
    command = f"{Path(sys.executable).with_name('tinybox-oci')} --root {bundle.path}/state"
    if verb == "run":
        bundle.config["process"] |= {"terminal": True, "args": ["sh", "-c", script]}
        bundle.save()
        words = f"{command} run --bundle {bundle.path} {bundle.name}"
    else:
        bundle.create("sleep 1000")
        assert bundle.oci("start", bundle.name).returncode == 0
        words = f"{command} exec -t {bundle.name} sh -c {shlex.quote(script)}"
    out = bundle.path / "printed"
    for redirected, newline in ((f" > {out}", b"\n"), ("", b"\r\n")):
        command_line = ["script", "-qec", words + redirected, "/dev/null"]
        screen = subprocess.run(command_line, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert screen.returncode == 0, screen.stdout
        printed = (out.read_bytes() if redirected else screen.stdout).replace(b"^@", b"").replace(b"\b\b", b"")
        assert [line for line in printed.split(newline) if line] == [b"one", b"-onlcr"]
