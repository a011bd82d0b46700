"""The limits of a container, translated from OCI's words into the files of a control group, as data.

A limit is a number written into a file: ``memory.max`` in version 2, ``memory.limit_in_bytes`` in version 1. Nothing is
written here, so a dry run can print what a real run would do; see linux.resources in OCI's config-linux.
"""

from __future__ import annotations

from collections import namedtuple

from tinybox.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NamedTuple

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

    Words = Callable[[Mapping[str, Any]], str | list[str]]  # a section of the resources -> what to write

    class Setting(NamedTuple):
        """One write: *value* into *file* of the group's directory in the hierarchy of *controller*."""

        controller: str
        file: str
        value: str

    class Row(NamedTuple):
        """One line of the table: the OCI *field*, its *controller*, and (file, words) for versions 2 and 1."""

        field: str
        controller: str
        v2: tuple[str, Words] | None
        v1: tuple[str, Words] | None
else:
    Setting = namedtuple("Setting", "controller file value")
    Row = namedtuple("Row", "field controller v2 v1")

DEFAULT_PERIOD = 100_000  # microseconds; the kernel's own
UNLIMITED = -1  # OCI's word for it; version 2 says "max"
ZERO_COUNTS = frozenset({"memory.swappiness", "cpu.idle", "pids.limit"})  # elsewhere 0 is how callers say "not set"


def settings(resources: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    """Translate OCI *resources* into the writes that this host's *hierarchies* understand, in the order to make them.

    The section ``devices`` is no limit and is left to device_filter. HostError names the field and the controller
    that the host lacks, but only for what is asked; UsageError, limits that contradict each other.
    """
    writes = []
    if hierarchies.version("memory") == 2:
        writes.append(Setting("memory", "memory.oom.group", "1"))  # out of memory ends the container, not half of it
    for row in TABLE:
        section_name, name = row.field.split(".")
        section = resources.get(section_name) or {}
        if row.field == "cpu.shares" and section.get("idle"):
            continue  # an idle group has no share: the kernel refuses to hear of one
        if section.get(name) or (section.get(name) == 0 and row.field in ZERO_COUNTS):
            writes += _translated(row, section, hierarchies)
    writes += _hugepages(resources.get("hugepageLimits") or (), hierarchies)
    writes += _rdma(resources.get("rdma") or {}, hierarchies)
    writes += _unified(resources.get("unified") or {}, hierarchies)
    return list(dict.fromkeys(writes))  # quota and period are one line in version 2


def passed_over(resources: Mapping[str, Any]) -> list[str]:
    """Say what of OCI *resources* has no effect on any kernel of today, and why; OCI itself advises against it."""
    memory, said = resources.get("memory") or {}, []
    if memory.get("kernel"):
        said.append("linux.resources.memory.kernel: is passed over: the kernel has given it up (5.16)")
    if memory.get("useHierarchy") is False:
        said.append("linux.resources.memory.useHierarchy: false is passed over: every group counts those below (5.11)")
    return said


def cpu_weight(shares: int) -> int:
    """Return the ``cpu.weight`` (1 to 10000) of version 2 for the ``cpu.shares`` (2 to 262144) of version 1.

    The curve of runc since 1.3.2 and of crun since 1.23: it meets both ends, and the default of 1024 becomes the
    default of 100. The straight line used before left a container with the default shares a weight of 39.
    """
    import math

    x = math.log2(min(max(shares, 2), 262_144))
    return math.ceil(round(10 ** ((x * x + 125 * x) / 612 - 7 / 34), 6))  # rounded, or 100.00000000000001 gives 101


def io_weight(weight: int) -> int:
    """Return the ``io.weight`` (1 to 10000) of version 2 for OCI's blockIO.weight (10 to 1000), along a line."""
    return 1 + (weight - 10) * 9999 // 990


def _require(field: str, controller: str, hierarchies: Hierarchies) -> int:
    """Return the version, 1 or 2, that offers *controller*; HostError names the OCI *field* that asks for it."""
    version = hierarchies.version(controller)
    if not version:
        cause = f"this host offers no {controller} controller, neither in cgroup v2 nor in v1"
        raise HostError(f"linux.resources.{field}", cause, "leave it out, or enable the controller in the kernel")
    return version


def _translated(row: Row, section: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    version = _require(row.field, row.controller, hierarchies)
    translation = row.v2 if version == 2 else row.v1
    if translation is None:
        cause = f"cgroup v{version}, where this host has its {row.controller} controller, knows no such setting"
        raise HostError(f"linux.resources.{row.field}", cause, "leave it out")
    file, words = translation
    values = words(section)
    return [Setting(row.controller, file, value) for value in ([values] if isinstance(values, str) else values)]


def _text(name: str) -> Words:
    return lambda section: str(int(section[name])) if isinstance(section[name], bool) else str(section[name])


def _max(name: str, lowest: int = 0) -> Words:
    """Words for a limit that version 2 calls ``max`` where OCI has a number under *lowest*."""
    return lambda section: "max" if section[name] < lowest else str(section[name])


def _swap(section: Mapping[str, Any]) -> int:
    """Return OCI's ``swap``, which is memory and swap together, after a look at whether it can be meant."""
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


def _per_device(name: str, word: str = "", value: str = "rate") -> Words:
    """Words for a list of devices, a line each: ``8:0 1048576``, or in version 2 ``8:0 rbps=1048576``."""
    return lambda section: [f"{d['major']}:{d['minor']} {word}{d[value]}" for d in section[name]]


def _weights(section: Mapping[str, Any]) -> list[str]:
    return [f"{d['major']}:{d['minor']} {io_weight(d['weight'])}" for d in section["weightDevice"]]


def _priorities(section: Mapping[str, Any]) -> list[str]:
    return [f"{interface['name']} {interface['priority']}" for interface in section["priorities"]]


def _throttle(name: str, word: str) -> Row:
    v1_file = f"blkio.throttle.{'read' if word[0] == 'r' else 'write'}_{word[1:]}_device"
    return Row(f"blockIO.{name}", "io", ("io.max", _per_device(name, f"{word}=")), (v1_file, _per_device(name)))


TABLE: tuple[Row, ...] = (
    # The OCI field, its controller, the file and the words of version 2, those of version 1. The order is that of the
    # writes: memory before swap, since the kernel refuses a memory limit above that of memory and swap together.
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
    """Limit what is reserved, which is refused in time, and what is used, where the kernel can only kill.

    The kernel counts reservations since Linux 5.7.
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
    """Take the keys of version 2 as they stand: the part before the dot is the controller, ``cgroup`` the core."""
    for key in keys:
        controller = key.partition(".")[0]
        if "/" in key or "." not in key:
            raise UsageError(f"linux.resources.unified.{key}", "this is no name of a file of cgroup v2")
        if hierarchies.unified is None or (controller != "cgroup" and controller not in hierarchies.v2_controllers):
            cause = f"this host has no {controller} controller in cgroup v2"
            raise HostError(f"linux.resources.unified.{key}", cause, "use the fields that hold for both versions")
    return [Setting(key.partition(".")[0], key, value) for key, value in keys.items()]
