"""OCI's resources become writes to cgroup files: which file, which value, in which order; nothing is written here."""

from __future__ import annotations

from typing import Any

import pytest

from tinybox.errors import HostError, UsageError
from tinybox.isolation.cgroups.hierarchies import Hierarchies
from tinybox.isolation.cgroups.limits import cpu_weight, io_weight, passed_over, settings

MIB = 2**20
V2 = Hierarchies("/c", "cpuset cpu io memory hugetlb pids rdma".split(), {})
V1 = Hierarchies(
    None, (), {name: f"/c/{name}" for name in "cpu cpuset memory blkio hugetlb pids net_cls net_prio".split()}
)
HYBRID = Hierarchies("/u", ["hugetlb"], V1.v1)
BARE = Hierarchies("/u", (), {})
OOM_GROUP = ("memory.oom.group", "1")
DISK: dict[str, Any] = {"major": 8, "minor": 16, "rate": 1024}


def written(resources: dict[str, Any], where: Hierarchies) -> list[tuple[str, str]]:
    """Return the files and the values, without the default that every group gets in v2."""
    return [(s.file, s.value) for s in settings(resources, where) if (s.file, s.value) != OOM_GROUP]


@pytest.mark.parametrize(
    ("resources", "v2", "v1"),
    [
        ({"memory": {"limit": 32 * MIB}}, [("memory.max", "33554432")], [("memory.limit_in_bytes", "33554432")]),
        ({"memory": {"limit": -1}}, [("memory.max", "max")], [("memory.limit_in_bytes", "-1")]),
        ({"memory": {"reservation": MIB}}, [("memory.low", "1048576")], [("memory.soft_limit_in_bytes", "1048576")]),
        ({"cpu": {"shares": 1024}}, [("cpu.weight", "100")], [("cpu.shares", "1024")]),
        ({"cpu": {"quota": 20000}}, [("cpu.max", "20000 100000")], [("cpu.cfs_quota_us", "20000")]),
        (
            {"cpu": {"quota": 20000, "period": 50000}},
            [("cpu.max", "20000 50000")],
            [("cpu.cfs_period_us", "50000"), ("cpu.cfs_quota_us", "20000")],
        ),
        ({"cpu": {"quota": -1}}, [("cpu.max", "max 100000")], [("cpu.cfs_quota_us", "-1")]),
        ({"cpu": {"cpus": "0-1", "mems": "0"}}, [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")], None),
        ({"cpu": {"idle": 1}}, [("cpu.idle", "1")], None),
        ({"pids": {"limit": 5}}, [("pids.max", "5")], None),
        ({"pids": {"limit": 0}}, [("pids.max", "max")], None),
        ({"pids": {"limit": -1}}, [("pids.max", "max")], None),
        ({"blockIO": {"weight": 1000}}, [("io.weight", "10000")], [("blkio.bfq.weight", "1000")]),
        (
            {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 10}]}},
            [("io.weight", "8:0 1")],
            [("blkio.bfq.weight_device", "8:0 10")],
        ),
        (
            {"blockIO": {"throttleReadBpsDevice": [DISK]}},
            [("io.max", "8:16 rbps=1024")],
            [("blkio.throttle.read_bps_device", "8:16 1024")],
        ),
        (
            {"blockIO": {"throttleWriteIOPSDevice": [DISK]}},
            [("io.max", "8:16 wiops=1024")],
            [("blkio.throttle.write_iops_device", "8:16 1024")],
        ),
        (
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]},
            [("hugetlb.2MB.rsvd.max", "4194304"), ("hugetlb.2MB.max", "4194304")],
            [("hugetlb.2MB.rsvd.limit_in_bytes", "4194304"), ("hugetlb.2MB.limit_in_bytes", "4194304")],
        ),
    ],
)
def test_each_field_has_its_file_in_both_versions(
    resources: dict[str, Any], v2: list[tuple[str, str]], v1: list[tuple[str, str]] | None
) -> None:
    """A field of linux.resources is one write in version 2, and a similar one in version 1 (None: the same one)."""
    assert written(resources, V2) == v2
    assert written(resources, V1) == (v2 if v1 is None else v1)


def test_swap_is_a_sum_in_oci_and_version_1_but_not_in_version_2() -> None:
    """OCI's swap includes the memory, version 2's does not; and the memory limit is written first."""
    memory = {"swap": 48 * MIB, "limit": 32 * MIB}
    assert written({"memory": memory}, V2) == [("memory.max", str(32 * MIB)), ("memory.swap.max", str(16 * MIB))]
    assert [file for file, _ in written({"memory": memory}, V1)] == [
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
    ]
    assert written({"memory": {**memory, "swap": -1}}, V2)[1] == ("memory.swap.max", "max")


@pytest.mark.parametrize("memory", [{"swap": MIB}, {"swap": MIB, "limit": 2 * MIB}, {"swap": MIB, "limit": -1}])
@pytest.mark.parametrize("where", [V1, V2])
def test_an_impossible_swap_limit_is_refused(memory: dict[str, int], where: Hierarchies) -> None:
    """Memory and swap together cannot be less than memory alone."""
    with pytest.raises(UsageError, match=r"memory\.swap"):
        settings({"memory": memory}, where)


@pytest.mark.parametrize(
    ("shares", "weight"), [(0, 1), (2, 1), (102, 17), (1024, 100), (2000, 170), (262_144, 10_000), (10**9, 10_000)]
)
def test_cpu_shares_keep_their_default_and_their_ends(shares: int, weight: int) -> None:
    """The curve maps least to least, default to default and most to most, as runc 1.3.2 and crun 1.23 do."""
    assert cpu_weight(shares) == weight


def test_heavier_shares_never_weigh_less() -> None:
    """Both conversions never decrease."""
    weights = [cpu_weight(2**n) for n in range(1, 19)]
    assert weights == sorted(set(weights))
    assert [io_weight(weight) for weight in (10, 1000)] == [1, 10_000]


def writes(resources: dict[str, Any], where: Hierarchies) -> list[tuple[str, str, str]]:
    """Return the settings as tuples: controller, file, value."""
    return [(each.controller, each.file, each.value) for each in settings(resources, where)]


def test_out_of_memory_ends_the_whole_group_in_version_2() -> None:
    """The default is written without a request, and only if version 2 has memory; ``unified`` has priority."""
    assert writes({}, V2) == [("memory", *OOM_GROUP)]
    assert settings({}, HYBRID) == settings({}, V1) == []
    assert writes({"unified": {"memory.oom.group": "0"}}, V2)[-1] == ("memory", "memory.oom.group", "0")


def test_a_hybrid_host_gets_each_limit_where_its_controller_is() -> None:
    """Memory goes to version 1 and huge pages to version 2, in one list."""
    resources = {"memory": {"limit": MIB}, "hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}
    assert written(resources, HYBRID) == [
        ("memory.limit_in_bytes", "1048576"),
        ("hugetlb.2MB.rsvd.max", "0"),
        ("hugetlb.2MB.max", "0"),
    ]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"memory": {"limit": MIB}}, "linux.resources.memory.limit: .* no memory controller"),
        ({"cpu": {"cpus": "0"}}, "linux.resources.cpu.cpus: .* no cpuset controller"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}, "hugepageLimits: .* no hugetlb controller"),
        ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma: .* no rdma controller"),
        ({"unified": {"memory.high": "1"}}, "unified.memory.high: .* no memory controller in cgroup v2"),
    ],
)
def test_a_controller_that_the_host_lacks_is_named_together_with_the_field(
    resources: dict[str, Any], words: str
) -> None:
    """The error names the field of the resources and the controller that it needs."""
    with pytest.raises(HostError, match=words):
        settings(resources, BARE)


def test_a_missing_controller_is_an_error_only_if_requested() -> None:
    """Empty sections, and the zeros and nulls that other tools write for `not set`, request nothing."""
    nothing = {"memory": {"limit": 0, "swap": None, "disableOOMKiller": False}, "cpu": {"shares": 0}, "blockIO": {}}
    assert settings({**nothing, "hugepageLimits": [], "unified": {}, "devices": [{"allow": False}]}, BARE) == []


@pytest.mark.parametrize(
    ("resources", "file"),
    [
        ({"memory": {"swappiness": 0}}, "memory.swappiness"),
        ({"memory": {"disableOOMKiller": True}}, "memory.oom_control"),
        ({"cpu": {"realtimeRuntime": 950_000}}, "cpu.rt_runtime_us"),
    ],
)
def test_settings_without_version_2_are_refused(resources: dict[str, Any], file: str) -> None:
    """A setting of version 1 alone is an error in version 2, not silence."""
    assert [name for name, _ in written(resources, V1)] == [file]
    with pytest.raises(HostError, match=r"cgroup v2.* has no such setting"):
        settings(resources, V2)


def test_unified_keys_are_used_unchanged_but_cannot_leave_the_group() -> None:
    """A key is a file name, and its first part a controller; a path is refused."""
    assert written({"unified": {"memory.high": "10M", "cgroup.max.depth": "2"}}, V2) == [
        ("memory.high", "10M"),
        ("cgroup.max.depth", "2"),
    ]
    with pytest.raises(UsageError):
        settings({"unified": {"../memory.max": "max"}}, V2)


def test_network_and_rdma_have_their_own_format() -> None:
    """Priorities are a line for each interface; rdma is a line for each device."""
    network = {"classID": 65537, "priorities": [{"name": "lo", "priority": 5}, {"name": "eth0", "priority": 7}]}
    lines = [("net_cls.classid", "65537"), ("net_prio.ifpriomap", "lo 5"), ("net_prio.ifpriomap", "eth0 7")]
    assert written({"network": network}, V1) == lines
    rdma = {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 100}}
    assert written({"rdma": rdma}, V2) == [("rdma.max", "mlx5_1 hca_handle=3 hca_object=100")]


def test_settings_of_no_current_kernel_are_ignored_with_a_warning() -> None:
    """A limit on the kernel's memory, and useHierarchy off, are ignored, each with a warning."""
    said = passed_over({"memory": {"kernel": 5, "useHierarchy": False}})
    assert [line.split(":")[0] for line in said] == [
        "linux.resources.memory.kernel",
        "linux.resources.memory.useHierarchy",
    ]
    assert passed_over({"memory": {"kernel": 0, "useHierarchy": True}}) == []
    assert passed_over({}) == []
