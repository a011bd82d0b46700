"""Which hierarchy has which controller, from the mountinfo of other machines; no file of this one is used."""

from __future__ import annotations

import pytest

from tinybox.errors import HostError
from tinybox.isolation.cgroups import callers
from tinybox.isolation.cgroups.hierarchies import Hierarchies, hierarchies

V2 = "29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V1 = """\
30 25 0:26 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd
33 25 0:30 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid - cgroup cgroup rw,net_cls,net_prio
34 25 0:31 / /odd\\040name rw,nosuid - cgroup cgroup rw,cpu,cpuacct
35 25 0:32 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer
36 25 0:33 / /sys/fs/cgroup/devices rw,nosuid - cgroup cgroup rw,devices
37 25 0:34 / /sys/fs/cgroup/blkio rw,nosuid - cgroup cgroup rw,blkio
"""


@pytest.mark.parametrize(
    ("text", "mode"),
    [(V2, "v2"), (HYBRID, "hybrid"), (V1, "v1"), ("1 0 8:1 / / rw - ext4 /dev/vda rw\n", "none")],
)
def test_the_mode_depends_on_the_mounts_alone(text: str, mode: str) -> None:
    """The types of the mounted cgroup file systems decide the mode."""
    assert hierarchies(text, "").mode == mode


def test_a_controller_is_found_by_its_mount_option_not_by_its_directory() -> None:
    """Two controllers of one mount have the same directory, whatever its name is."""
    where = hierarchies(V1, "")
    assert where.root("cpu") == where.root("cpuacct") == "/odd name"
    assert where.root("systemd") is None


def test_on_a_hybrid_host_version_2_comes_first() -> None:
    """Controllers of the v2 tree are used there, the rest in v1; devices and freezer need no controller in v2."""
    where = hierarchies(HYBRID, "hugetlb pids\n")
    versions = {name: where.version(name) for name in ("hugetlb", "pids", "memory", "devices", "freezer", "rdma")}
    assert versions == {"hugetlb": 2, "pids": 2, "memory": 1, "devices": 2, "freezer": 2, "rdma": 0}
    assert where.root("memory") == "/sys/fs/cgroup/memory"
    assert where.roots()[0] == "/sys/fs/cgroup/unified"


def test_without_version_2_devices_and_freezer_are_those_of_version_1() -> None:
    """A pure v1 host uses its own controllers, and ``io`` is called blkio there."""
    where = hierarchies(V1, "")
    assert [where.version(name) for name in ("devices", "freezer", "io", "memory")] == [1, 1, 1, 0]
    assert where.root("io") == "/sys/fs/cgroup/blkio"


def test_a_bind_mount_of_a_group_is_not_mistaken_for_the_hierarchy() -> None:
    """Of several mounts of version 2 the one of its root counts, even if it is later in the list."""
    bound = "20 19 0:26 /machine/a /somewhere rw - cgroup2 cgroup2 rw\n"
    assert hierarchies(bound + V2, "").unified == "/sys/fs/cgroup"
    assert hierarchies(bound, "").unified == "/somewhere"


def test_each_hierarchy_is_listed_once() -> None:
    """Controllers that share a mount share one root."""
    where = Hierarchies("/v2", (), {"cpu": "/a", "cpuacct": "/a", "pids": "/b"})
    assert where.roots() == ["/v2", "/a", "/b"]


def test_a_group_below_the_caller_is_beside_it_in_version_2() -> None:
    """In version 1 the place is the caller's own group, in version 2 the one above, as the caller's has processes."""
    groups = "4:memory:/slurm/job_1\n3:pids:/\n2:cpu:/slurm\n1:name=systemd:/scope\n0::/slurm/job_1/task\n"
    found = callers.places(hierarchies(HYBRID, ""), HYBRID, groups)
    assert found == {
        "/sys/fs/cgroup/memory": "/sys/fs/cgroup/memory/slurm/job_1",
        "/sys/fs/cgroup/pids": "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/cpu": "/sys/fs/cgroup/cpu/slurm",
        "/sys/fs/cgroup/systemd": "/sys/fs/cgroup/systemd/scope",
        "/sys/fs/cgroup/unified": "/sys/fs/cgroup/unified/slurm/job_1",
    }
    where = callers.moved(hierarchies(HYBRID, ""), found)
    assert where.root("memory") == "/sys/fs/cgroup/memory/slurm/job_1"
    assert where.mode == "hybrid"
    assert callers.places(hierarchies(V2, ""), V2, "0::/\n") == {"/sys/fs/cgroup": "/sys/fs/cgroup"}


def test_a_mount_that_shows_a_part_of_the_tree() -> None:
    """The path of the caller's group begins at the root of the hierarchy; the mount may show a part of it alone."""
    part = V2.replace("0:26 / /sys", "0:26 /part /sys")
    assert callers.places(hierarchies(part, ""), part, "0::/part/a/b\n") == {"/sys/fs/cgroup": "/sys/fs/cgroup/a"}
    with pytest.raises(HostError, match="the caller is in /another, which is outside of /sys/fs/cgroup"):
        callers.places(hierarchies(part, ""), part, "0::/another\n")
