"""A user namespace, new or joined, together with other namespaces: joined ones that the host owns, and new ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import until
from tests.support.oci_bundles import bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oci_bundles import Bundle

__all__ = ["bundle"]
pytestmark = pytest.mark.root

KERNELS = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid", "cgroup": "cgroup", "time": "time"}
FLAGS = ["--net", "--ipc", "--uts", "--pid", "--cgroup", "--time", "--fork", "--kill-child"]
MAP = [{"containerID": 0, "hostID": 0, "size": 65536}]


class Other:
    """A process in namespaces of its own, which bundles join by its paths in /proc."""

    def __init__(self, *flags: str) -> None:
        self.unshare = subprocess.Popen(["unshare", *FLAGS, *flags, "sleep", "1000"])
        children = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        until(children.read_text)
        self.pid = int(children.read_text())
        until(lambda: Path(f"/proc/{self.pid}/comm").read_text() == "sleep\n")

    def path(self, kind: str) -> str:
        """Return the path of its namespace of this OCI *kind*."""
        return f"/proc/{self.pid}/ns/{KERNELS.get(kind, kind)}"

    def close(self) -> None:
        """End the process."""
        os.kill(self.pid, signal.SIGKILL)
        self.unshare.wait()


@pytest.fixture
def other() -> Iterator[Other]:
    """Give namespaces that the host's user namespace owns."""
    other = Other()
    yield other
    other.close()


@pytest.fixture
def inner() -> Iterator[Other]:
    """Give namespaces that a user namespace of their own owns."""
    other = Other("--user")
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{other.pid}/{name}").write_text("0 0 65536")
    yield other
    other.close()


def prepare(bundle: Bundle, paths: dict[str, str], new: str = "mount pid network ipc uts") -> None:
    """Let the bundle join *paths*, by kind, and make *new* namespaces of the other kinds."""
    kinds = [*paths, *(kind for kind in new.split() if kind not in paths)]
    entries: list[dict[str, Any]] = [
        {"type": kind, **({"path": paths[kind]} if kind in paths else {})} for kind in kinds
    ]
    bundle.linux["namespaces"] = entries
    if "user" not in paths:
        bundle.linux.update(uidMappings=MAP, gidMappings=MAP)
    del bundle.config["hostname"]
    bundle.config["mounts"] = [entry for entry in bundle.config["mounts"] if entry["destination"] in ("/proc", "/dev")]


def links(bundle: Bundle, kinds: list[str], *more: str) -> list[str]:
    """Return the namespaces of a program in the bundle, by kind, and what the lines *more* print."""
    names = " ".join(KERNELS.get(kind, kind) for kind in kinds)
    return bundle.says(f"for name in {names}; do busybox readlink /proc/self/ns/$name; done", *more).split()


@pytest.mark.parametrize(
    "kinds", [[kind] for kind in KERNELS] + [["network", "ipc", "uts"], list(KERNELS)], ids="-".join
)
def test_a_new_user_namespace_and_namespaces_of_the_host(bundle: Bundle, other: Other, kinds: list[str]) -> None:
    """Those that the host owns are joined before the new user namespace is entered, which has no rights over them."""
    prepare(bundle, {kind: other.path(kind) for kind in kinds}, "mount pid network ipc uts user")
    found = links(bundle, [*kinds, "user"], "cat /proc/self/uid_map")
    assert found[: len(kinds)] == [os.readlink(other.path(kind)) for kind in kinds]
    assert found[len(kinds)] not in (os.readlink("/proc/self/ns/user"), os.readlink(other.path("user")))
    assert found[-3:] == ["0", "0", "65536"]


@pytest.mark.parametrize(
    "kinds", [["network"], ["network", "ipc", "uts", "cgroup", "time"], ["pid", "network"]], ids="-".join
)
@pytest.mark.parametrize("owner", ["host", "user"])
def test_a_joined_user_namespace_and_joined_namespaces(
    bundle: Bundle, inner: Other, other: Other, kinds: list[str], owner: str
) -> None:
    """The others may belong to the host or to that user namespace: both can be joined."""
    of = other if owner == "host" else inner
    prepare(bundle, {"user": inner.path("user"), **{kind: of.path(kind) for kind in kinds}})
    if "pid" in kinds and owner == "host":  # a proc file system needs a pid namespace of the same user namespace
        bundle.config["mounts"] = [{"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}]
        bundle.linux.pop("maskedPaths"), bundle.linux.pop("readonlyPaths")
    found = links(bundle, ["user", *kinds])
    assert found == [os.readlink(inner.path("user")), *(os.readlink(of.path(kind)) for kind in kinds)]


@pytest.mark.parametrize("paths", [[], ["network"], ["pid"]], ids=["new", "network", "pid"])
def test_the_clocks_of_a_user_namespace_have_offsets(bundle: Bundle, other: Other, paths: list[str]) -> None:
    """TimeOffsets in a new time namespace and a new user namespace, whose root may not write into its own /proc."""
    prepare(bundle, {kind: other.path(kind) for kind in paths}, "mount pid network ipc uts user time")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 10_000_000}, "monotonic": {"secs": 5}}
    user, clock, offset, *_ = links(bundle, ["user", "time"], "cat /proc/uptime")
    assert user != os.readlink("/proc/self/ns/user")
    assert clock != os.readlink("/proc/self/ns/time")
    assert float(offset) > 10_000_000


def test_exec_joins_such_a_container(bundle: Bundle, other: Other) -> None:
    """One more program is in the namespaces of both owners."""
    prepare(bundle, {"network": other.path("network")}, "mount pid ipc uts user time")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 10_000_000}}
    bundle.create("sleep 60")
    assert bundle.oci("start", bundle.name).returncode == 0
    pid = json.loads(bundle.oci("state", bundle.name).stdout)["pid"]
    done = bundle.oci(
        "exec",
        bundle.name,
        "sh",
        "-c",
        "busybox readlink /proc/self/ns/net; busybox readlink /proc/self/ns/user; cat /proc/uptime",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == [os.readlink(other.path("network")), os.readlink(f"/proc/{pid}/ns/user")]
    assert float(done.stdout.split()[2]) > 10_000_000


def test_a_user_namespace_that_forbids_setgroups_is_joined(bundle: Bundle) -> None:
    """A user without rights on the host has made it: its processes keep their groups, and that is no error."""
    other = Other("--user", "--map-root-user")
    try:
        prepare(bundle, {"user": other.path("user"), "network": other.path("network")})
        assert links(bundle, ["user", "network"]) == [os.readlink(other.path(kind)) for kind in ("user", "network")]
        bundle.process["user"]["additionalGids"] = [5]
        assert "Operation not permitted" in bundle.run("true").stderr
    finally:
        other.close()
