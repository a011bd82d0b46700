"""Memory policy of a container's processes: from which NUMA nodes they get their memory (OCI's memoryPolicy).

On a machine with several memory nodes, memory of the processor's own node is the fastest. The policy of a process is
inherited by its children, and stays over execve(2); see numa(7).
"""

from __future__ import annotations

from tinybox.errors import UsageError
from tinybox.linux import attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MODES = {  # MPOL_* of linux/mempolicy.h
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,  # Linux 5.15
    "MPOL_WEIGHTED_INTERLEAVE": 6,  # Linux 6.9
}
FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}
NODES = 1024  # no kernel is built for more: MAX_NUMNODES


def check(policy: Mapping[str, Any]) -> None:
    """Raise UsageError, with the field, for a mode, a flag or a list of nodes that is none."""
    values(policy)


def values(policy: Mapping[str, Any]) -> tuple[int, int]:
    """Return the mode with its flags and the mask of the nodes, as set_mempolicy(2) takes them."""
    if policy["mode"] not in MODES:
        raise UsageError("linux.memoryPolicy.mode", f"{policy['mode']} is not a mode", f"one of {', '.join(MODES)}")
    mode = MODES[policy["mode"]]
    for number, name in enumerate(policy.get("flags") or ()):
        if name not in FLAGS:
            raise UsageError(
                f"linux.memoryPolicy.flags[{number}]", f"{name} is not a flag", f"one of {', '.join(FLAGS)}"
            )
        mode |= FLAGS[name]
    return mode, _mask(policy.get("nodes") or "")


def _mask(text: str) -> int:
    """Return the nodes of a list such as ``0-3,7`` as bits."""
    mask = 0
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or bool(dash) != bool(last):
            raise UsageError("linux.memoryPolicy.nodes", f"{part!r} is no node and no range", "such as 0-3,7")
        low, high = int(first), int(last or first)
        if not low <= high < NODES:
            raise UsageError("linux.memoryPolicy.nodes", f"{part} is not a range below {NODES}", "such as 0-3,7")
        mask |= (1 << high + 1) - (1 << low)
    return mask


def set_policy(mode: int, nodes: int) -> None:
    """Set the memory policy of this process; EINVAL: no such nodes, or the mode forbids some; see set_mempolicy(2)."""
    attributes.set_memory_policy(mode, nodes)
