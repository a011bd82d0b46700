"""tinybox doctor: each verdict changes with the host. The hosts are real: namespaces in which something is missing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import no_trace
from tests.support.boxes import new_name, until
from tests.support.slowness import SLOWNESS
from tinybox.container.records.paths import Paths
from tinybox.doctor import leftovers, links
from tinybox.doctor.finding import NOTE, OK, tried

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

FORWARD = "type filter hook forward priority 0; policy {policy};"
SPINNERS = 3


def examined(tinybox: Command, script: str = ":", *flags: str) -> dict[str, dict[str, Any]]:
    """Return the doctor's findings by fact, in new namespaces, after the shell has run *script* there."""
    command = ["unshare", "-m", *flags, "sh", "-ec", f'{script}; exec "$@"', "sh", tinybox.path, "doctor", "--json"]
    done = subprocess.run(
        command, env=tinybox.environment, capture_output=True, text=True, check=False, timeout=60 * SLOWNESS
    )
    assert done.stderr == ""
    findings = {finding["fact"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == any(finding["verdict"] == "problem" for finding in findings.values())
    return findings


def test_a_host_that_can_run_boxes_has_no_problem(tinybox: Command) -> None:
    """Boxes run on this host, so no verdict is "problem"; the controllers are those of mountinfo."""
    findings = examined(tinybox)
    assert tinybox("run", "--rm", "--network", "none", "busybox", "true").returncode == 0
    assert {finding["verdict"] for finding in findings.values()} <= {"ok", "note"}
    assert findings["controllers"]["verdict"] == "ok"
    assert findings["overlayfs"]["verdict"] == "ok"
    assert findings["architecture"]["found"] == os.uname().machine


def test_a_line_a_fact(tinybox: Command) -> None:
    """The table has the facts of --json, in 100 columns, without colours in a pipe; each note has its cure."""
    done = tinybox("doctor")
    lines = done.stdout.splitlines()
    assert [line[8:26].strip() for line in lines if line[:8].strip()] == list(examined(tinybox))
    assert max(map(len, lines)) <= 100
    assert "\033" not in done.stdout
    assert done.stdout.count("-> ") == sum(line.startswith(("note", "problem")) for line in lines)


def test_hosts_without_control_groups(tinybox: Command) -> None:
    """Without any cgroup file system there is a problem, and the status is 1."""
    findings = examined(tinybox, "umount -l -R /sys/fs/cgroup")
    assert findings["cgroups"]["verdict"] == "problem"
    assert findings["controllers"]["verdict"] == "note"


def test_a_store_that_cannot_hold_an_overlay(tinybox: Command) -> None:
    """An overlay's upper directory on another overlay is refused, and the doctor reports it; a tmpfs is fine."""
    on = "mount -t tmpfs t /mnt; mkdir /mnt/l /mnt/u /mnt/w /mnt/m; "
    overlay = f"{on} mount -t overlay o -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m; "
    assert examined(tinybox, f"{on} export TINYBOX_ROOT=/mnt/store")["overlayfs"]["verdict"] == "ok"
    found = examined(tinybox, f"{overlay} export TINYBOX_ROOT=/mnt/m/store")["overlayfs"]
    assert (found["verdict"], "TINYBOX_ROOT" in found["found"]) == ("problem", True)


@pytest.mark.parametrize("there", [True, False])
def test_a_store_that_is_read_only(tinybox: Command, there: bool) -> None:
    """A read-only store, existing or to be made, is a problem with a cure; all other facts are still reported."""
    folders = "/mnt/store/containers /mnt/store/tmp /mnt/store/run /mnt/store/images" if there else "/mnt"
    script = f"mount -t tmpfs -o mode=755 t /mnt; mkdir -p {folders}; mount -o remount,ro /mnt"
    findings = examined(tinybox, f"{script}; export TINYBOX_ROOT=/mnt/store")
    assert {fact for fact, finding in findings.items() if finding["verdict"] == "problem"} == {
        "free space",
        "overlayfs",
    }
    assert "Read-only" in findings["overlayfs"]["found"]
    assert "--root" in findings["overlayfs"]["cure"]
    assert list(findings) == list(examined(tinybox))


def test_propagation_is_read(tinybox: Command) -> None:
    """`/` is reported as shared if it is, and as private if it is."""
    assert "shared" in examined(tinybox, "mount --make-rshared /")["propagation of /"]["found"]
    assert examined(tinybox, "mount --make-rprivate /")["propagation of /"]["found"] == "private"


@pytest.mark.parametrize(
    ("rules", "who"),
    [
        ("table ip filter { chain FORWARD { %s } }", "ip filter FORWARD"),
        ("table ip filter { chain DOCKER-USER { } ; chain FORWARD { %s } }", "docker"),
        ("table inet firewalld { chain filter_FORWARD { %s } }", "firewalld"),
    ],
)
def test_firewalls_that_stop_boxes_are_named(tinybox: Command, rules: str, who: str) -> None:
    """A base chain that drops forwarded packets is named, with a cure; one that accepts them is not."""

    def firewall(policy: str) -> dict[str, Any]:
        ruleset = (rules % FORWARD.format(policy=policy)).replace(";", "\n").replace("{", "{\n").replace("}", "\n}\n")
        return examined(tinybox, f"printf '%s' '{ruleset}' | nft -f -", "-n")["firewall"]

    assert firewall("drop")["verdict"] == "note"
    assert who in firewall("drop")["found"]
    assert "tinybox0" in firewall("drop")["cure"]
    assert firewall("accept")["verdict"] == ("note" if who == "firewalld" else "ok")
    assert examined(tinybox, ":", "-n")["firewall"]["verdict"] == "ok"


def test_links_are_made_and_read_by_another_library(tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge and a veth pair can be made, and nothing is left of them; the control: other links are noted."""
    before, paths = socket.if_nameindex(), Paths(tinybox.root)
    assert links.links(paths).verdict == OK
    monkeypatch.setattr(links, "ASKED", {**links.ASKED, links.LINK: ("veth", links.MTU + 1)})
    noted = links.links(paths)
    assert (noted.verdict, "1400" in noted.found) == (NOTE, True)
    assert socket.if_nameindex() == before


def test_tinybox_s_own_table_is_no_obstacle(tinybox: Command) -> None:
    """The rules by which tinybox separates two networks are no finding."""
    ours = f"table inet tinybox {{\nchain forward {{\n{FORWARD.format(policy='drop')}\n}}\n}}\n"
    assert examined(tinybox, f"printf '%s' '{ours}' | nft -f -", "-n")["firewall"]["verdict"] == "ok"


def test_a_busy_cpu_is_noticed(tinybox: Command) -> None:
    """With other processes on the only CPU of the doctor, less than 0.9 of it is left."""
    cpu = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, {{{cpu}}}); print(flush=True)\nwhile True: pass"
    spinners = [subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE) for _ in range(SPINNERS)]
    try:
        for spinner in spinners:
            assert spinner.stdout is not None
            assert spinner.stdout.readline() == b"\n"
        assert examined(tinybox, f"taskset -cp {cpu} $$ >/dev/null")["CPU headroom"]["verdict"] == "note"
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.communicate()


def test_missing_capabilities_are_named(tinybox: Command) -> None:
    """A capability that root lacks is named; without CAP_SYS_ADMIN there is a problem."""
    without = ["setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time"]
    done = subprocess.run([*without, tinybox.path, "doctor"], env=tinybox.environment, capture_output=True, text=True,
                          check=False, timeout=60 * SLOWNESS)  # fmt: skip
    assert "CAP_SYS_TIME" in done.stdout
    without = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    done = subprocess.run([*without, tinybox.path, "doctor"], env=tinybox.environment, capture_output=True, text=True,
                          check=False, timeout=60 * SLOWNESS)  # fmt: skip
    assert done.returncode == 1
    assert "CAP_SYS_ADMIN" in done.stdout


def test_leftovers_are_reported_and_only_fix_removes_them(tinybox: Command) -> None:
    """A box whose command was killed: reported twice, gone after --fix; a running box does not change."""
    living, dead = new_name(), new_name()
    assert tinybox("run", "-d", "--network", "none", "--name", living, "busybox", "sleep", "1000").returncode == 0
    process = tinybox.start("run", "--rm", "--network", "none", "--name", dead, "busybox", "sleep", "1000")
    state = Path(tinybox.root, "run", dead, "state.json")
    until(lambda: state.exists() and json.loads(state.read_text())["status"] == "running")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for _ in range(2):
        found = examined(tinybox)["leftovers"]
        assert (found["verdict"], "dead owners" in found["found"]) == ("note", True)
    fixed = tinybox("doctor", "--fix")
    assert fixed.stdout.count("removed: containers of dead owners") == 1
    assert examined(tinybox)["leftovers"] == {"fact": "leftovers", "verdict": "ok", "found": "none", "cure": ""}
    assert json.loads(tinybox("inspect", living).stdout)[0]["State"]["Running"]
    assert tinybox("rm", "-f", living).returncode == 0


def test_other_leftovers(tinybox: Command) -> None:
    """A bundle without a state, a name without a box, a directory of a killed import; --fix removes each of them."""
    made = [Path(tinybox.root, "containers", "f" * 64), Path(tinybox.root, "tmp", "import-left")]
    for folder in made:
        folder.mkdir()
    name = Path(tinybox.root, "container-names", new_name())
    name.symlink_to("e" * 64)
    found = examined(tinybox)["leftovers"]["found"]
    assert all(kind in found for kind in ("unfinished containers", "names without a container", "unfinished imports"))
    tinybox("doctor", "--fix")
    assert not any(path.exists() for path in made)
    assert not name.is_symlink()


def test_groups_that_are_empty_for_long(monkeypatch: pytest.MonkeyPatch, tinybox: Command) -> None:
    """A group without a box is a leftover once it is old; a young one, or one with a process in it, is not."""
    monkeypatch.setenv("TINYBOX_CGROUP_PARENT", f"{no_trace.room()}-test-doctor")
    top = next(
        Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line
    )
    group = top / f"{no_trace.room()}" / "left"
    group.mkdir(parents=True)
    assert leftovers._groups(None) == []  # type: ignore[arg-type]
    monkeypatch.setattr(leftovers, "YOUNG", 0.0)
    assert leftovers._groups(None) == [str(group)]  # type: ignore[arg-type]
    leftovers._remove_groups(None, [str(group)])  # type: ignore[arg-type]
    assert not group.parent.exists()


def test_a_trial_leaves_nothing_mounted() -> None:
    """Mounts of a trial end with it; its exception is its finding, and no exception means no finding."""
    assert tried(lambda: None) == ""
    assert tried(lambda: os.mkdir("/proc/no")) != ""
    before = Path("/proc/self/mountinfo").read_text()
    assert tried(lambda: subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "t", "/mnt"], check=True)) == ""
    assert Path("/proc/self/mountinfo").read_text() == before
