"""The operations of runtime.md that concern the bundle: what create makes of it, what delete leaves."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import shutil
import socket
import termios
from pathlib import Path

import pytest

from tests.support.oci_bundles import Bundle, bundle
from tinybox.isolation.cgroups import hierarchies

__all__ = ["bundle"]

pytestmark = pytest.mark.root


@pytest.mark.parametrize("verb", ["create", "start", "state", "kill", "delete"])
def test_a_verb_without_an_id_is_an_error(bundle: Bundle, verb: str) -> None:
    """Each of the five operations requires the id of a container; nothing is made without one."""
    bundle.save()
    done = bundle.oci(verb, *["--bundle", str(bundle.path)] * (verb == "create"))
    assert done.returncode == 125
    assert len(done.stderr.splitlines()) == 1
    assert bundle.oci("list", "-q").stdout == ""


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b"])
def test_an_invalid_id_is_an_error(bundle: Bundle, name: str) -> None:
    """A name that cannot be a container's is refused, and no container is made."""
    bundle.name = name
    done = bundle.run("true")
    assert (done.returncode, len(done.stderr.splitlines())) == (125, 1), done
    assert f"container '{name}'" in done.stderr
    assert bundle.oci("list", "-q").stdout == ""


def test_an_operation_out_of_its_turn_changes_nothing(bundle: Bundle) -> None:
    """Start twice, delete a running one, signal a stopped one, a used or unknown id: errors without effect."""

    def refused(*words: str) -> None:
        before = bundle.oci("list", "--format", "json").stdout
        done = bundle.oci(*words)
        assert (done.returncode, len(done.stderr.splitlines())) == (125, 1), done
        assert bundle.oci("list", "--format", "json").stdout == before

    for verb in ("state", "start", "delete", "kill"):
        refused(verb, "nobody")
    bundle.create("trap 'echo heard; exit 7' USR1; echo runs; while true; do sleep 0.05; done")
    refused("create", "--bundle", str(bundle.path), bundle.name)
    refused("delete", bundle.name)
    bundle.oci("start", bundle.name)
    out = bundle.path / "out"
    bundle.until(lambda: out.read_text() == "runs\n")
    assert bundle.status() == "running"
    refused("start", bundle.name)
    refused("delete", bundle.name)
    assert bundle.oci("kill", bundle.name, "USR1").returncode == 0
    bundle.wait_for("stopped")
    assert out.read_text() == "runs\nheard\n"
    refused("kill", bundle.name, "TERM")
    refused("start", bundle.name)
    assert bundle.oci("delete", bundle.name).returncode == 0
    bundle.create("true")  # the id is free again


def test_create_makes_all_but_the_program(bundle: Bundle) -> None:
    """After create there are namespaces, mounts and limits, the status is created, and the program has not run."""
    bundle.linux["resources"]["pids"] = {"limit": 66}
    bundle.mount("/mark", "tmpfs", "mode=700")
    bundle.create("echo program ran")
    assert bundle.status() == "created"
    pid = json.loads(bundle.oci("state", bundle.name).stdout)["pid"]
    assert " /mark " in Path(f"/proc/{pid}/mountinfo").read_text()
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    where = hierarchies.hierarchies()
    limit = Path(f"{where.root('pids')}{bundle.linux['cgroupsPath']}/pids.max")
    assert limit.read_text() == "66\n"
    assert (bundle.path / "out").read_text() == ""
    assert bundle.oci("start", bundle.name).returncode == 0
    bundle.wait_for("stopped")
    assert (bundle.path / "out").read_text() == "program ran\n"


def test_changes_of_the_bundle_after_create_have_no_effect(bundle: Bundle) -> None:
    """The container runs the config.json of its creation, even if the file is gone."""
    bundle.create("echo as it was")
    bundle.process["args"] = ["sh", "-c", "echo changed"]
    bundle.save()
    assert bundle.oci("start", bundle.name).returncode == 0
    bundle.wait_for("stopped")
    assert (bundle.path / "out").read_text() == "as it was\n"
    (bundle.path / "config.json").unlink()
    assert bundle.oci("delete", bundle.name).returncode == 0


def test_the_state_has_the_fields_of_the_specification(bundle: Bundle) -> None:
    """Version, id, status, pid, bundle and annotations, and nothing else; the pid is the host's."""
    bundle.config["annotations"] = {"org.example.key": "value"}
    bundle.create("true")
    state = json.loads(bundle.oci("state", bundle.name).stdout)
    pid = state.pop("pid")
    assert Path(f"/proc/{pid}/comm").exists()
    version = state.pop("ociVersion")
    assert version.startswith("1.")
    assert state == {
        "id": bundle.name,
        "status": "created",
        "bundle": str(bundle.path),
        "annotations": {"org.example.key": "value"},
    }


def test_delete_removes_what_create_made_and_nothing_else(bundle: Bundle) -> None:
    """The control group and the record go; the bundle, neighbouring groups and a volume do not change."""
    (bundle.path / "volume").mkdir()
    bundle.mount("/volume", "bind", "bind", source="volume")
    where = hierarchies.hierarchies()
    group = Path(f"{where.root('pids')}{bundle.linux['cgroupsPath']}")
    bundle.create("echo kept > /volume/file")
    beside = group.parent / "beside"
    beside.mkdir()
    try:
        assert group.is_dir()
        bundle.oci("start", bundle.name)
        bundle.wait_for("stopped")
        assert bundle.oci("delete", bundle.name).returncode == 0
        assert not group.exists()
        assert beside.is_dir()
    finally:
        beside.rmdir()
        for root in where.roots():
            for parent in Path(f"{root}{bundle.linux['cgroupsPath']}").parents:
                if parent != Path(root) and parent.is_dir() and str(parent).startswith(f"{root}/"):
                    parent.rmdir()
    assert (bundle.path / "volume/file").read_text() == "kept\n"
    assert (bundle.path / "config.json").exists()
    assert bundle.oci("state", bundle.name).returncode != 0


def test_a_failed_create_leaves_nothing(bundle: Bundle) -> None:
    """An error late in create, when groups and mounts exist already, leaves neither a record nor a group."""
    bundle.process["args"] = ["/no/such/program"]
    done = bundle.run()
    assert done.returncode == 127
    assert "/no/such/program" in done.stderr
    where = hierarchies.hierarchies()
    assert not any(Path(f"{root}{bundle.linux['cgroupsPath']}").exists() for root in where.roots())
    assert bundle.oci("list", "-q").stdout == ""


def test_a_terminal_has_the_size_of_the_config(bundle: Bundle) -> None:
    """ConsoleSize is the size of the terminal whose master arrives at the console socket; its slave is /dev/console."""
    bundle.config["process"] |= {"terminal": True, "consoleSize": {"height": 33, "width": 77}}
    bundle.process["args"] = ["sh", "-c", "test -t 0 && stat -c %t /dev/console"]
    bundle.save()
    with socket.socket(socket.AF_UNIX) as listening:
        path = str(bundle.path / "console")
        listening.bind(path)
        listening.listen(1)
        words = ["run", "--detach", "--console-socket", path, "--bundle", str(bundle.path), bundle.name]
        done = bundle.oci(*words)
        assert (done.returncode, done.stderr) == (0, "")
        with listening.accept()[0] as line:
            fds = array.array("i")
            fds.frombytes(line.recvmsg(100, socket.CMSG_LEN(fds.itemsize))[1][0][2])
    master = fds[0]
    try:
        size = array.array("H", fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8)))
        assert list(size[:2]) == [33, 77]
        bundle.wait_for("stopped")
        assert all_of(master) == b"88\r\n"  # the major number of pts devices, 136
    finally:
        os.close(master)


def all_of(master: int) -> bytes:
    """Return all output of a terminal that no process has open any more; EIO is its end, see pts(4)."""
    shown = b""
    with contextlib.suppress(OSError):
        while piece := os.read(master, 100):
            shown += piece
    return shown


def test_a_process_object_of_exec_is_checked(bundle: Bundle) -> None:
    """--process is checked as a whole config.json is, and execCPUAffinity sets the processors it runs on."""
    bundle.create("sleep 60")
    bundle.oci("start", bundle.name)
    asked = {**bundle.process, "args": ["grep", "^Cpus_allowed_list", "/proc/self/status"]}
    file = bundle.path / "process.json"
    for affinity, cpus in (({}, ""), ({"initial": "0", "final": "0"}, "0"), ({"initial": "0"}, "")):
        file.write_text(json.dumps({**asked, "execCPUAffinity": affinity}))
        done = bundle.oci("exec", "--process", str(file), bundle.name)
        assert done.returncode == 0, done
        ours = sorted(os.sched_getaffinity(0))
        everything = f"{ours[0]}-{ours[-1]}" if len(ours) > 1 else str(ours[0])
        assert done.stdout.split() == ["Cpus_allowed_list:", cpus or everything]
    file.write_text(json.dumps({**asked, "execCPUAffinity": {"final": "x"}}))
    assert "process.execCPUAffinity.final" in bundle.oci("exec", "--process", str(file), bundle.name).stderr
    file.write_text(json.dumps({**asked, "cwd": "here"}))
    assert "process.cwd" in bundle.oci("exec", "--process", str(file), bundle.name).stderr


def memory_limit(bundle: Bundle) -> int:
    """Return the memory limit of the container's control group in the kernel's file, in bytes."""
    where = hierarchies.hierarchies()
    file = "memory.limit_in_bytes" if where.version("memory") == 1 else "memory.max"
    return int(Path(f"{where.root('memory')}{bundle.linux['cgroupsPath']}/{file}").read_text())


def test_a_limit_below_the_usage_is_not_set(bundle: Bundle) -> None:
    """With checkBeforeUpdate the memory limit stays and nothing is killed; above the usage it is set."""
    bundle.linux["resources"]["memory"] = {"limit": 64 << 20, "checkBeforeUpdate": True}
    bundle.mount("/full", "tmpfs", "size=32m")
    bundle.create("head -c 20000000 /dev/zero > /full/file; echo full; sleep 60")
    bundle.oci("start", bundle.name)
    out = bundle.path / "out"
    bundle.until(lambda: out.read_text() == "full\n")
    resources = bundle.path / "resources.json"
    resources.write_text(json.dumps({"memory": {"limit": 1 << 20}}))
    done = bundle.oci("update", "--resources", str(resources), bundle.name)
    assert done.returncode == 125
    assert bundle.status() == "running"
    assert memory_limit(bundle) == 64 << 20
    resources.write_text(json.dumps({"memory": {"limit": 48 << 20}}))
    done = bundle.oci("update", "--resources", str(resources), bundle.name)
    assert done.returncode == 0, done
    assert memory_limit(bundle) == 48 << 20
    resources.write_text(json.dumps({"memory": {"limit": "much"}}))
    assert "linux.resources.memory.limit" in bundle.oci("update", "--resources", str(resources), bundle.name).stderr


def test_a_bundle_of_runc_s_runs(bundle: Bundle) -> None:
    """The output of `runc spec` runs unchanged, except for its terminal."""
    runc = shutil.which("runc") or shutil.which("runc", path="/usr/sbin")
    if runc is None:
        pytest.skip("runc is not installed")
    folder = bundle.path / "theirs"
    folder.mkdir()
    os.spawnv(os.P_WAIT, runc, ["runc", "spec", "--bundle", str(folder)])
    bundle.config = json.loads((folder / "config.json").read_text())
    bundle.process["terminal"] = False
    done = bundle.run("hostname; id -u; touch /new 2>/dev/null || echo readonly")
    assert (done.returncode, done.stdout.split()) == (0, ["runc", "0", "readonly"]), done
    # An older `runc spec` asks for ambient capabilities that are not inheritable, which no kernel grants.
    assert all("level=warning" in line and "ambient" in line for line in done.stderr.splitlines()), done
