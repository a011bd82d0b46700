"""An update of OCI's resources: which part of them was sent, what they are after it, and which files are written."""

from __future__ import annotations

from typing import Any

import pytest

from tinybox.errors import UsageError
from tinybox.isolation.cgroups.changes import merged, sent, with_swap
from tinybox.isolation.cgroups.hierarchies import Hierarchies
from tinybox.isolation.cgroups.limits import changed_settings

MIB = 2**20
V2 = Hierarchies("/c", "cpuset cpu io memory hugetlb pids rdma".split(), {})
V1 = Hierarchies(None, (), {name: f"/c/{name}" for name in "cpu cpuset memory blkio hugetlb pids".split()})
FORMER: dict[str, Any] = {
    "memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB},
    "cpu": {"shares": 512, "period": 50000, "quota": 20000, "cpus": "0", "mems": "0"},
    "pids": {"limit": 50},
    "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
    "unified": {"memory.high": "1"},
}


def written(changes: dict[str, Any], where: Hierarchies, former: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """Return the files and values that an update writes to a group with the limits *former*."""
    former = FORMER if former is None else former
    changes = with_swap(sent(changes), former, where)
    return [(each.file, each.value) for each in changed_settings(merged(former, changes), changes, where)]


def test_zeros_and_empty_values_are_not_sent() -> None:
    """Docker sends 0 for what its user did not name; 0 is a value only for burst, idle, swappiness and pids."""
    zeros = {
        "blockIO": {"weight": 0, "weightDevice": []},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": "", "realtimeRuntime": 0},
        "memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0, "kernelTCP": 0},
        "hugepageLimits": [],
        "unified": {},
        "pids": {},
    }
    assert sent(zeros) == {}
    values = {"cpu": {"burst": 0, "idle": 0}, "memory": {"swappiness": 0, "disableOOMKiller": False}}
    assert sent({**values, "pids": {"limit": 0}}) == {**values, "pids": {"limit": 1}}
    assert sent({"memory": {"limit": -1, "swap": 5}}) == {"memory": {"limit": -1, "swap": 5}}


@pytest.mark.parametrize(
    ("changes", "v2", "v1"),
    [
        ({"pids": {"limit": 20}}, [("pids.max", "20")], None),
        ({"pids": {"limit": 20}, "memory": {"limit": 0}, "cpu": {"shares": 0}}, [("pids.max", "20")], None),
        ({"memory": {"reservation": MIB}}, [("memory.low", "1048576")], [("memory.soft_limit_in_bytes", "1048576")]),
        (
            {"memory": {"swap": 128 * MIB}},
            [("memory.swap.max", f"{64 * MIB}")],
            [("memory.memsw.limit_in_bytes", f"{128 * MIB}")],
        ),
        (
            {"memory": {"limit": 32 * MIB}},
            [("memory.max", f"{32 * MIB}"), ("memory.swap.max", f"{32 * MIB}")],  # as before
            [("memory.limit_in_bytes", f"{32 * MIB}")],
        ),
        (
            {"memory": {"limit": -1}},
            [("memory.max", "max"), ("memory.swap.max", "max")],
            [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")],
        ),
        ({"cpu": {"quota": 30000}}, [("cpu.max", "30000 50000")], [("cpu.cfs_quota_us", "30000")]),
        ({"cpu": {"period": 90000}}, [("cpu.max", "20000 90000")], [("cpu.cfs_period_us", "90000")]),
        ({"cpu": {"burst": 0}}, [("cpu.max.burst", "0")], [("cpu.cfs_burst_us", "0")]),
        ({"cpu": {"idle": 1}}, [("cpu.idle", "1")], None),
        ({"cpu": {"idle": 0}}, [("cpu.idle", "0"), ("cpu.weight", "59")], [("cpu.idle", "0"), ("cpu.shares", "512")]),
        ({"cpu": {"cpus": "1"}}, [("cpuset.cpus", "1")], None),
        ({"blockIO": {"weight": 10}}, [("io.weight", "1")], [("blkio.bfq.weight", "10")]),
        (
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 2}]}},
            [("io.max", "8:1 rbps=2")],
            [("blkio.throttle.read_bps_device", "8:1 2")],
        ),
        ({"memory": {"disableOOMKiller": False}}, [], [("memory.oom_control", "0")]),
    ],
)
def test_only_what_is_sent_is_written(
    changes: dict[str, Any], v2: list[tuple[str, str]], v1: list[tuple[str, str]] | None
) -> None:
    """Each limit alone: its own file is written, with what the other field of the same file has; no other file."""
    assert written(changes, V2) == v2
    assert written(changes, V1) == (v2 if v1 is None else v1)


def test_a_memory_limit_does_not_pass_that_of_memory_and_swap() -> None:
    """In version 1 the second limit stays, and is named; in version 2 swap is limited alone, and is not affected."""
    with pytest.raises(UsageError, match="send memory"):
        written({"memory": {"limit": 128 * MIB}}, V1)
    assert ("memory.swap.max", f"{32 * MIB}") in written({"memory": {"limit": 128 * MIB}}, V2)
    assert written({"memory": {"limit": 128 * MIB}}, V1, {}) == [("memory.limit_in_bytes", f"{128 * MIB}")]


def test_lists_are_merged_entry_by_entry() -> None:
    """A limit of another device or page size stays recorded beside the one that is sent."""
    other = [{"major": 8, "minor": 1, "rate": 2}]
    after = merged(FORMER, {"blockIO": {"throttleReadBpsDevice": other}, "unified": {"memory.low": "2"}})
    assert after["blockIO"]["throttleReadBpsDevice"] == FORMER["blockIO"]["throttleReadBpsDevice"] + other
    assert after["unified"] == {"memory.high": "1", "memory.low": "2"}
    pages = [{"pageSize": "2MB", "limit": 2}, {"pageSize": "1GB", "limit": 3}]
    assert merged(FORMER, {"hugepageLimits": pages})["hugepageLimits"] == pages
    assert merged({"rdma": {"a": {"hcaHandles": 1}}}, {"rdma": {"a": {"hcaObjects": 2}}})["rdma"] == {
        "a": {"hcaHandles": 1, "hcaObjects": 2}
    }
