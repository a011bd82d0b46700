"""Limits of a container: translate OCI's ``linux.resources`` (memory, cpu, pids, blockIO ...) to cgroup file writes.

A limit is a number written into a file: ``memory.max`` in version 2, ``memory.limit_in_bytes`` in version 1. This file
writes nothing: it returns the writes, so a dry run can print them; see linux.resources in OCI's config-linux.
"""

from __future__ import annotations

from tinybox.errors import HostError, UsageError
from tinybox.isolation.cgroups.files import Setting, of_every_group
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

    Value = Callable[[Mapping[str, Any]], str | list[str]]  # a section of the resources -> the text to write


class Row:
    """A row of the table: the OCI *field*, its *controller*, and (file, function of the value) for each version."""

    __slots__ = ("controller", "field", "name", "section", "v1", "v2")

    def __init__(self, field: str, controller: str, v2: tuple[str, Value] | None, v1: tuple[str, Value] | None) -> None:
        self.field, self.controller, self.v2, self.v1 = field, controller, v2, v1
        self.section, _, self.name = field.partition(".")


DEFAULT_PERIOD = 100_000  # microseconds; the kernel's default
UNLIMITED = -1  # OCI's value for no limit; version 2 has "max"
ZERO_COUNTS = frozenset({"memory.swappiness", "cpu.idle", "pids.limit"})  # in other fields 0 means "not set"


def settings(resources: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    """Return the writes for OCI *resources* on a host with these *hierarchies*, in their order.

    The section ``devices`` is not a limit: see device_filter. HostError: a limit that is set needs a controller that
    the host lacks (the error names the field and the controller). UsageError: two limits contradict each other.
    """
    writes = of_every_group(hierarchies)
    for row in TABLE:
        section = resources.get(row.section)
        if section and (section.get(row.name) or (section.get(row.name) == 0 and row.field in ZERO_COUNTS)):
            writes += _row(row, section, hierarchies)
    return _once([*writes, *_lists(resources, hierarchies)])


def changed_settings(
    resources: Mapping[str, Any], changes: Mapping[str, Any], hierarchies: Hierarchies
) -> list[Setting]:
    """Return the writes for *changes*, a part of *resources* that already contain them; see `changes.sent`.

    A file that no changed field determines is not written. In a file that two fields determine, the other one keeps its
    value. The end of idleness gives a group the kernel's default of shares, so its own are written again.
    """
    writes = []
    for row in TABLE:
        name, part = row.name, changes.get(row.section) or {}
        if name in part or (row.field == "cpu.shares" and "idle" in part):
            section = {**(resources.get(row.section) or {}), **part}
            unset = section.get(name) is False and hierarchies.version(row.controller) == 2  # a flag of version 1 alone
            if name in section and not unset:
                writes += _row(row, section, hierarchies)
    writes.sort(key=lambda write: write.file in ("cpu.shares", "cpu.weight"))  # after the end of idleness
    return _once([*writes, *_lists(changes, hierarchies)])


def _row(row: Row, section: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    if row.field == "cpu.shares" and section.get("idle"):
        return []  # an idle group has no share: the kernel refuses this write
    return _translated(row, section, hierarchies)


def _lists(resources: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    writes = _hugepages(resources.get("hugepageLimits") or (), hierarchies)
    writes += _rdma(resources.get("rdma") or {}, hierarchies)
    return writes + _unified(resources.get("unified") or {}, hierarchies)


def _once(writes: list[Setting]) -> list[Setting]:
    """Return *writes* without repetitions: quota and period are the same write in version 2."""
    return list({(each.controller, each.file, each.value): each for each in writes}.values())


def passed_over(resources: Mapping[str, Any]) -> list[str]:
    """Return a warning for each field of OCI *resources* without effect in current kernels; OCI discourages them."""
    memory, warnings = resources.get("memory") or {}, []
    if memory.get("kernel"):
        warnings.append("linux.resources.memory.kernel: ignored: the kernel has removed it (5.16)")
    if memory.get("useHierarchy") is False:
        warnings.append("linux.resources.memory.useHierarchy: false is ignored: a group counts those below it (5.11)")
    return warnings


def cpu_weight(shares: int) -> int:
    """Return the ``cpu.weight`` (1 to 10000) of version 2 for the ``cpu.shares`` (2 to 262144) of version 1.

    It is the curve of runc since 1.3.2 and of crun since 1.23: it maps minimum to minimum, maximum to maximum, and the
    default of 1024 to the default of 100. The earlier linear formula gave the default shares a weight of 39.
    """
    import math

    x = math.log2(min(max(shares, 2), 262_144))
    return math.ceil(round(10 ** ((x * x + 125 * x) / 612 - 7 / 34), 6))  # not rounded, 100.00000000000001 gives 101


def io_weight(weight: int) -> int:
    """Return the ``io.weight`` (1 to 10000) of version 2 for OCI's blockIO.weight (10 to 1000): a linear formula."""
    return 1 + (weight - 10) * 9999 // 990


def _require(field: str, controller: str, hierarchies: Hierarchies) -> int:
    """Return the version, 1 or 2, that has *controller*; HostError, with the OCI *field*: the host lacks it."""
    version = hierarchies.version(controller)
    if not version:
        if user_namespaces.is_rootless():
            raise HostError(f"linux.resources.{field}", *hierarchies.lack(controller))
        cause = f"this host offers no {controller} controller, neither in cgroup v2 nor in v1"
        raise HostError(f"linux.resources.{field}", cause, "leave it out, or enable the controller in the kernel")
    return version


def _translated(row: Row, section: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    version = _require(row.field, row.controller, hierarchies)
    translation = row.v2 if version == 2 else row.v1
    if translation is None:
        cause = f"cgroup v{version}, where this host has its {row.controller} controller, has no such setting"
        raise HostError(f"linux.resources.{row.field}", cause, "leave it out")
    file, value_of = translation
    values = value_of(section)
    return [Setting(row.controller, file, value) for value in ([values] if isinstance(values, str) else values)]


def _text(name: str) -> Value:
    return lambda section: str(int(section[name])) if isinstance(section[name], bool) else str(section[name])


def _max(name: str, lowest: int = 0) -> Value:
    """Return a function for the value of *name*: ``max`` if the number is under *lowest*, else the number."""
    return lambda section: "max" if section[name] < lowest else str(section[name])


def _swap(section: Mapping[str, Any]) -> int:
    """Return OCI's ``swap``, the limit of memory and swap together; UsageError: it is below the memory limit.

    UsageError also if there is no memory limit.
    """
    limit, swap = section.get("limit") or 0, int(section["swap"])
    if swap != UNLIMITED and not 0 < limit <= swap:
        cause = f"the limit of memory and swap together is {swap}, that of memory alone {limit or 'not set'}"
        raise UsageError("linux.resources.memory.swap", cause, "give a memory limit, and a swap limit not below it")
    return swap


def _swap_alone(section: Mapping[str, Any]) -> str:
    swap = _swap(section)
    return "max" if swap == UNLIMITED else str(swap - section["limit"])


def _cpu_max(section: Mapping[str, Any]) -> str:
    quota = section.get("quota") or UNLIMITED
    return f"{'max' if quota < 0 else quota} {section.get('period') or DEFAULT_PERIOD}"


def _per_device(name: str, key: str = "", value: str = "rate") -> Value:
    """Return a function for a list of devices: lines such as ``8:0 1048576``, or in version 2 ``8:0 rbps=1048576``."""
    return lambda section: [f"{d['major']}:{d['minor']} {key}{d[value]}" for d in section[name]]


def _weights(section: Mapping[str, Any]) -> list[str]:
    return [f"{d['major']}:{d['minor']} {io_weight(d['weight'])}" for d in section["weightDevice"]]


def _priorities(section: Mapping[str, Any]) -> list[str]:
    return [f"{interface['name']} {interface['priority']}" for interface in section["priorities"]]


def _throttle(name: str, key: str) -> Row:
    v1_file = f"blkio.throttle.{'read' if key[0] == 'r' else 'write'}_{key[1:]}_device"
    return Row(f"blockIO.{name}", "io", ("io.max", _per_device(name, f"{key}=")), (v1_file, _per_device(name)))


TABLE: tuple[Row, ...] = (
    # The OCI field, its controller, the file and the value of version 2, and those of version 1. The rows are in the
    # order of the writes: memory before swap, because the kernel refuses a memory limit above that of memory and swap.
    Row("memory.limit", "memory", ("memory.max", _max("limit")), ("memory.limit_in_bytes", _text("limit"))),
    Row(
        "memory.reservation",
        "memory",
        ("memory.low", _max("reservation")),
        ("memory.soft_limit_in_bytes", _text("reservation")),
    ),
    Row(
        "memory.swap",
        "memory",
        ("memory.swap.max", _swap_alone),
        ("memory.memsw.limit_in_bytes", lambda section: str(_swap(section))),
    ),
    Row("memory.kernelTCP", "memory", None, ("memory.kmem.tcp.limit_in_bytes", _text("kernelTCP"))),
    Row("memory.swappiness", "memory", None, ("memory.swappiness", _text("swappiness"))),
    Row("memory.disableOOMKiller", "memory", None, ("memory.oom_control", _text("disableOOMKiller"))),
    Row(
        "cpu.shares",
        "cpu",
        ("cpu.weight", lambda section: str(cpu_weight(section["shares"]))),
        ("cpu.shares", _text("shares")),
    ),
    Row("cpu.period", "cpu", ("cpu.max", _cpu_max), ("cpu.cfs_period_us", _text("period"))),
    Row("cpu.quota", "cpu", ("cpu.max", _cpu_max), ("cpu.cfs_quota_us", _text("quota"))),
    Row("cpu.burst", "cpu", ("cpu.max.burst", _text("burst")), ("cpu.cfs_burst_us", _text("burst"))),
    Row("cpu.realtimePeriod", "cpu", None, ("cpu.rt_period_us", _text("realtimePeriod"))),
    Row("cpu.realtimeRuntime", "cpu", None, ("cpu.rt_runtime_us", _text("realtimeRuntime"))),
    Row("cpu.idle", "cpu", ("cpu.idle", _text("idle")), ("cpu.idle", _text("idle"))),
    Row("cpu.cpus", "cpuset", ("cpuset.cpus", _text("cpus")), ("cpuset.cpus", _text("cpus"))),
    Row("cpu.mems", "cpuset", ("cpuset.mems", _text("mems")), ("cpuset.mems", _text("mems"))),
    Row("pids.limit", "pids", ("pids.max", _max("limit", 1)), ("pids.max", _max("limit", 1))),
    Row(
        "blockIO.weight",
        "io",
        ("io.weight", lambda section: str(io_weight(section["weight"]))),
        ("blkio.bfq.weight", _text("weight")),
    ),
    Row(
        "blockIO.weightDevice",
        "io",
        ("io.weight", _weights),
        ("blkio.bfq.weight_device", _per_device("weightDevice", value="weight")),
    ),
    _throttle("throttleReadBpsDevice", "rbps"),
    _throttle("throttleWriteBpsDevice", "wbps"),
    _throttle("throttleReadIOPSDevice", "riops"),
    _throttle("throttleWriteIOPSDevice", "wiops"),
    Row("network.classID", "net_cls", None, ("net_cls.classid", _text("classID"))),
    Row("network.priorities", "net_prio", None, ("net_prio.ifpriomap", _priorities)),
)


def _hugepages(limits: Sequence[Mapping[str, Any]], hierarchies: Hierarchies) -> list[Setting]:
    """Return the writes for huge pages: a limit of reservations (Linux 5.7) and one of use, for each page size.

    At the first limit mmap(2) fails with ENOMEM; at the second the kernel can only kill the process.
    """
    if not limits:
        return []
    suffix = "max" if _require("hugepageLimits", "hugetlb", hierarchies) == 2 else "limit_in_bytes"
    return [
        Setting("hugetlb", f"hugetlb.{limit['pageSize']}.{counted}{suffix}", str(limit["limit"]))
        for limit in limits
        for counted in ("rsvd.", "")
    ]


def _rdma(devices: Mapping[str, Mapping[str, int]], hierarchies: Hierarchies) -> list[Setting]:
    if devices:
        _require("rdma", "rdma", hierarchies)
    names = {"hcaHandles": "hca_handle", "hcaObjects": "hca_object"}
    return [
        Setting("rdma", "rdma.max", " ".join([device, *(f"{names[key]}={count}" for key, count in limits.items())]))
        for device, limits in devices.items()
    ]


def _unified(keys: Mapping[str, str], hierarchies: Hierarchies) -> list[Setting]:
    """Return the writes for ``unified``, whose keys are file names of version 2, such as ``memory.high``.

    The part before the dot is the controller; ``cgroup`` is no controller, and every group has these files.
    """
    for key in keys:
        controller = key.partition(".")[0]
        if "/" in key or "." not in key:
            raise UsageError(f"linux.resources.unified.{key}", "this is not a file name of cgroup v2")
        if hierarchies.unified is None or (controller != "cgroup" and controller not in hierarchies.v2_controllers):
            cause = f"this host has no {controller} controller in cgroup v2"
            raise HostError(f"linux.resources.unified.{key}", cause, "use the fields that work for both versions")
    return [Setting(key.partition(".")[0], key, value) for key, value in keys.items()]
