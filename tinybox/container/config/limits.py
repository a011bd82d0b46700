"""Convert --memory, --cpus, --pids-limit, --device and their like to OCI's ``linux.resources``."""

from __future__ import annotations

import os

from tinybox.container.config import option_values
from tinybox.errors import UnfitValueError
from tinybox.isolation.cgroups import device_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Options
    from tinybox.container.config.request import Request
    from tinybox.container.records.host import Host
    from tinybox.container.records.spec_types import Device

MEMORY_LEAST = 6 << 20  # bytes, as in docker; tinybox's init fits into it
_DENY_ALL = {"allow": False, "access": "rwm"}


def resources(request: Request, nodes: list[tuple[Device, str]]) -> dict[str, Any]:
    """Return ``linux.resources``; *nodes* are the requested devices, each with its access (letters of ``rwm``)."""
    wanted = {"devices": _device_rules(request, nodes), **limits(request.options, request.host)}
    if per_device := _per_device(request.options):
        wanted["blockIO"] = per_device
    if request.options.get("oom_kill_disable"):
        wanted.setdefault("memory", {})["disableOOMKiller"] = True
    return wanted


def _per_device(options: Options) -> dict[str, list[dict[str, int]]]:
    """Return the rates and weights of block devices, by OCI's names of their lists."""
    lists = {f"throttle{way.title()}{unit}Device": f"device-{way}-{unit.lower()}"
             for unit in ("Bps", "IOPS") for way in ("read", "write")}  # fmt: skip
    lists["weightDevice"] = "blkio-weight-device"
    given = {name: option for name, option in lists.items() if options.get(option.replace("-", "_"))}
    if not given:
        return {}
    from tinybox.container.config import device_option

    return {
        name: [device_option.throttle(option, text) for text in options[option.replace("-", "_")]]
        for name, option in given.items()
    }


def limits(options: Options, here: Host, former: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the memory and cpu limits that depend on other options, for `run` and `update`. 0 means no limit.

    `update` gives the *former* resources of the box: a limit that *options* do not name stays as it is there. The
    limits that are one field of config.json are put there by `configure.put_fields`.
    """
    wanted = {"memory": _memory(options, here, (former or {}).get("memory", {})), "cpu": _cpu(options)}
    return {section: values for section, values in wanted.items() if values}


def _given(options: Options, key: str) -> bool:
    return options.get(key) not in (None, "", "0")


def _memory(options: Options, here: Host, former: dict[str, int]) -> dict[str, int]:
    limit, reservation = _bytes(options, "memory"), _bytes(options, "memory-reservation")
    memory = {name: amount for name, amount in (("limit", limit), ("reservation", reservation)) if amount}
    if reservation > limit > 0:
        cause = f"is more than --memory {options['memory']}, which is reached first"
        raise UnfitValueError(f"--memory-reservation {options['memory_reservation']}", cause, "reserve less")
    if _given(options, "memory_swap"):
        if not (limit or former.get("limit", 0) > 0):
            raise UnfitValueError(f"--memory-swap {options['memory_swap']}", "needs a memory limit", "add --memory")
        memory["swap"] = _swap(options, limit or former["limit"])
    elif limit and former.get("swap"):
        memory["swap"] = _former_swap(options, limit, former["swap"])
    elif limit and here.counts_swap():
        memory["swap"] = _swap(options, limit)
    return memory


def _former_swap(options: Options, limit: int, swap: int) -> int:
    """Return the box's limit of memory and swap together, which stays; UsageError: the new memory *limit* is above."""
    if 0 < swap < limit:
        cause = f"is above the box's limit of memory and swap together, {swap} bytes"
        raise UnfitValueError(f"--memory {options['memory']}", cause, "give --memory-swap, too")
    return swap


def _bytes(options: Options, name: str) -> int:
    """Return the memory in bytes that the option *name* states; 0 if it is not given."""
    text = options.get(name.replace("-", "_"))
    if text in (None, "", "0"):
        return 0
    amount = option_values.size(name, text)
    if amount < MEMORY_LEAST:
        raise UnfitValueError(f"--{name} {text}", "is too little", "the smallest is 6m")
    return amount


def _device_rules(request: Request, nodes: list[tuple[Device, str]]) -> list[dict[str, Any]]:
    if request.privileged:
        return [{"allow": True, "access": "rwm"}]
    requested = [
        {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}
        for node, access in nodes
    ]
    ruled = []
    if request.options.get("device_cgroup_rule"):
        from tinybox.container.config import device_option

        ruled = [device_option.device_rule(text) for text in request.options["device_cgroup_rule"]]
    return [_DENY_ALL, *(dict(rule) for rule in device_rules.DEFAULT_DEVICES), *requested, *ruled]


def _swap(options: Options, limit: int) -> int:
    """Return the limit of memory and swap together, in bytes; -1 is no limit.

    Docker's default is as much swap as memory, that is twice *limit*.
    """
    text = options["memory_swap"] if _given(options, "memory_swap") else ""
    if text == "-1":
        return -1
    total = option_values.size("memory-swap", text) if text else 2 * limit
    if total < limit:
        raise UnfitValueError(f"--memory-swap {text}", "is less than --memory", "it is memory and swap together")
    return total


def _cpu(options: Options) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    for key, kind in (("cpuset_cpus", "CPUs"), ("cpuset_mems", "memory nodes")):
        if _given(options, key):
            option_values.check_cpus(key.replace("_", "-"), options[key], kind)
    if _given(options, "cpus"):
        share = option_values.number("cpus", options["cpus"])
        most = os.cpu_count() or 1
        if not 0.01 <= share <= most:
            raise UnfitValueError(f"--cpus {options['cpus']}", f"is not from 0.01 to {most}.00, the CPUs of this host")
        cpu |= {"quota": round(share * 100_000), "period": 100_000}
    for key, most in (("quota", option_values.TIME_MOST), ("period", 1_000_000)):
        name, text = f"cpu-{key}", options.get(f"cpu_{key}")
        if text in (None, "", "0"):
            continue
        if _given(options, "cpus"):
            raise UnfitValueError(f"--{name} {text}", "conflicts with --cpus", "leave one of them out")
        cpu[key] = -1 if (key, text) == ("quota", "-1") else option_values.whole(name, text, 1000, most)
    return cpu
