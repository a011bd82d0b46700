"""Options that engines know from runc: ``--pidfd-socket``, ``exec --cgroup`` and ``spec --rootless``."""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE
from tests.support.oci_bundles import Bundle, bundle
from tests.support.oci_schemas import faults
from tinybox.isolation.cgroups import hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bundle"]

pytestmark = pytest.mark.root


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Give a socket that listens at *path*."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        made.listen(1)
        made.settimeout(PATIENCE)
        yield made


def received(made: socket.socket) -> tuple[bytes, int]:
    """Return the name and the descriptor that arrive over one connection."""
    with made.accept()[0] as line:
        fds = array.array("i")
        name, rights, _, _ = line.recvmsg(100, socket.CMSG_LEN(fds.itemsize))
        fds.frombytes(rights[0][2])
        assert line.recv(1) == b""  # one message for each connection
    return name, fds[0]


def quietly(bundle: Bundle, *words: str) -> None:
    """Run ``tinybox-oci WORDS``, which must succeed, without streams that the new process would keep open."""
    command = [str(Path(sys.executable).with_name("tinybox-oci")), "--root", str(bundle.path / "state"), *words]
    null = subprocess.DEVNULL
    subprocess.run(command, stdin=null, stdout=null, stderr=null, check=True, timeout=PATIENCE)


def pid_of(pidfd: int) -> int:
    """Return the pid of the process behind *pidfd*."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pid:")))


@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_the_pidfd_socket_gets_a_pidfd(bundle: Bundle, verb: str) -> None:
    """It is that of the first process, or of the exec's; a signal by it reaches the process, and its end is seen."""
    path = bundle.path / "pidfd"
    if verb == "exec":
        bundle.create("sleep 1000")
        assert bundle.oci("start", bundle.name).returncode == 0
    else:
        bundle.process["args"] = ["sleep", "1000"]
        bundle.save()
    with listening(path) as made:
        if verb == "exec":
            words = ["exec", "--detach", "--pidfd-socket", str(path), "--pid-file", str(bundle.path / "pid")]
            quietly(bundle, *words, bundle.name, "sleep", "500")
            pid = int((bundle.path / "pid").read_text())
        else:
            words = [verb, *["--detach"] * (verb == "run"), "--pidfd-socket", str(path)]
            quietly(bundle, *words, "--bundle", str(bundle.path), bundle.name)
            pid = json.loads(bundle.oci("state", bundle.name).stdout)["pid"]
        name, pidfd = received(made)
    assert (name, pid_of(pidfd)) == (b"setns" if verb == "exec" else b"standard", pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert select.select([pidfd], [], [], PATIENCE)[0] == [pidfd]
    os.close(pidfd)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


@pytest.mark.parametrize("verb", ["create", "exec"])
def test_without_a_listener_there_is_no_process(bundle: Bundle, verb: str) -> None:
    """An error names the option and the path; `create` leaves no container."""
    if verb == "exec":
        bundle.create("sleep 1000")
        assert bundle.oci("start", bundle.name).returncode == 0
        done = bundle.oci("exec", "--pidfd-socket", "/no/such/socket", bundle.name, "touch", "/made")
        assert not (bundle.root / "made").exists()
    else:
        bundle.save()
        done = bundle.oci("create", "--pidfd-socket", "/no/such/socket", "--bundle", str(bundle.path), bundle.name)
        assert bundle.oci("state", bundle.name).returncode != 0
    assert done.returncode == 125
    assert "--pidfd-socket /no/such/socket: No such file or directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def roots() -> dict[str, str]:
    """Return the root of each hierarchy, by one of its controllers; that of version 2 is ""."""
    here = hierarchies.hierarchies()
    found = {root: controller for controller, root in here.v1.items()}
    if here.unified:
        found[here.unified] = ""
    return {controller: root for root, controller in found.items()}


@pytest.fixture
def grouped(bundle: Bundle) -> Iterator[Bundle]:
    """Give a running container with a group ``sub`` below its group in each hierarchy."""
    bundle.create("sleep 1000")
    assert bundle.oci("start", bundle.name).returncode == 0
    made = [Path(f"{root}{bundle.linux['cgroupsPath']}/sub") for root in roots().values()]
    for folder in made:
        folder.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):  # in version 1, a new group has none of both
            if (folder / name).exists() and not (folder / name).read_text().strip():
                (folder / name).write_text((folder.parent / name).read_text())
    yield bundle
    for folder in made:
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()


def groups_of(grouped: Bundle, *options: str) -> set[str]:
    """Return the controllers, and "" for version 2, of whose groups a process of `exec` is in ``sub``."""
    done = grouped.oci("exec", *options, grouped.name, "cat", "/proc/self/cgroup")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(":", 2) for line in done.stdout.splitlines()]
    base = grouped.linux["cgroupsPath"]
    assert all(path.startswith(base) for _, names, path in lines if names in roots())
    return {names for _, names, path in lines if path.endswith("/sub")}


def test_an_exec_runs_in_a_group_below_the_container_s(grouped: Bundle) -> None:
    """A path alone is one in each hierarchy; the control is an exec without the option."""
    assert groups_of(grouped) == set()
    assert groups_of(grouped, "--cgroup", "sub") >= set(roots())
    assert groups_of(grouped, "--cgroup", "/sub/") >= set(roots())


@pytest.mark.skipif(not hierarchies.hierarchies().v1, reason="there is no controller of version 1")
def test_a_path_for_one_controller_applies_to_its_hierarchy(grouped: Bundle) -> None:
    """``CONTROLLER[,CONTROLLER]:PATH``, also more than once."""
    first, second = [name for name in roots() if name][:2]
    assert groups_of(grouped, "--cgroup", f"{first}:sub") == {first}
    assert groups_of(grouped, "--cgroup", f"{first},{second}:sub") == {first, second}
    assert groups_of(grouped, "--cgroup", f"{first}:sub", "--cgroup", f"{second}:/sub") == {first, second}


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["nosuch"], "make it first"),
        (["../../.."], "is not a path below"),
        (["nosuch:sub"], "has no group of this controller"),
        ([":sub"], "has an empty controller"),
        (["sub", "sub"], "has no controller"),
        (["a:sub", "a:sub"], "is given twice"),
    ],
)
def test_a_group_that_is_none_is_an_error(grouped: Bundle, options: list[str], cause: str) -> None:
    """One line; the program does not run."""
    words = [word for option in options for word in ("--cgroup", option)]
    done = grouped.oci("exec", *words, grouped.name, "touch", "/made")
    assert done.returncode == 125
    assert len(done.stderr.splitlines()) == 1
    assert "--cgroup" in done.stderr
    assert cause in done.stderr
    assert not (grouped.root / "made").exists()


def test_a_rootless_example_has_a_user_namespace(bundle: Bundle) -> None:
    """Its config has the caller as root, the host's network and /sys, no limits, and it runs; the other has none."""
    (bundle.root / "sys").mkdir(exist_ok=True)
    (bundle.path / "config.json").unlink(missing_ok=True)
    done = bundle.oci("spec", "--rootless", "--bundle", str(bundle.path))
    assert (done.returncode, done.stderr) == (0, "")
    config = json.loads((bundle.path / "config.json").read_text())
    assert faults("config-schema.json", config) == []
    kinds = {entry["type"] for entry in config["linux"]["namespaces"]}
    assert ("user" in kinds, "network" in kinds, "resources" in config["linux"]) == (True, False, False)
    mine = {"containerID": 0, "hostID": os.geteuid(), "size": 1}
    assert config["linux"]["uidMappings"] == config["linux"]["gidMappings"] == [mine]
    assert not [mount for mount in config["mounts"] if set(mount["options"]) & {"gid=5"}]
    bundle.config = config
    bundle.process["terminal"] = False
    bundle.process["args"] = ["sh", "-c", "id -u; cat /proc/self/uid_map; ls -d /sys/class"]
    assert bundle.says().split() == ["0", "0", str(os.geteuid()), "1", "/sys/class"]


def test_the_plain_example_has_none(bundle: Bundle) -> None:
    """The control: no user namespace, the group tty for terminals, and limits."""
    (bundle.path / "config.json").unlink(missing_ok=True)
    assert bundle.oci("spec", "--bundle", str(bundle.path)).returncode == 0
    config = json.loads((bundle.path / "config.json").read_text())
    assert {"type": "user"} not in config["linux"]["namespaces"]
    assert "uidMappings" not in config["linux"]
    assert [mount for mount in config["mounts"] if "gid=5" in mount["options"]]
