"""What a box would inherit from the caller of tinybox: processors, priorities, the OOM score, personality and others.

docker's boxes are started by its daemon, so that the caller's attributes do not reach them. `tinybox run` starts a box
itself, and sets the defaults. Under an engine, a container inherits them as with other runtimes, but for the
processors: those of its control group are its own. Limits of setrlimit(2) are inherited, and so is no_new_privs, which
cannot be taken back.
"""

from __future__ import annotations

from tinybox.linux import attributes, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROCESSORS = "processors"
# The attributes that the parent sets for the child: with the rights of the host's root, and in /proc of the host
OF_CHILD: dict[str, tuple[Callable[[], bool], Callable[[int], object]]] = {
    PROCESSORS: (attributes.is_bound, attributes.unbind),
    "priority": (attributes.has_priority, attributes.reset_priority),
    "I/O priority": (attributes.has_io_priority, attributes.reset_io_priority),
    "OOM score": (attributes.has_oom_score, attributes.reset_oom_score),
    "parts of core files": (attributes.has_core_filter, attributes.reset_core_filter),
}
# Those that a process can set only for itself
OWN: dict[str, tuple[Callable[[], bool], Callable[[], object]]] = {
    "personality": (attributes.has_personality, lambda: process.personality(process.PER_LINUX)),
    "timer slack": (attributes.has_timer_slack, attributes.reset_timer_slack),
    "huge pages": (attributes.has_no_huge_pages, attributes.reset_huge_pages),
    "securebits": (attributes.has_secure_bits, attributes.reset_secure_bits),
    "memory policy": (attributes.has_memory_policy, attributes.reset_memory_policy),
}


def differing(*, engine: bool = False) -> list[str]:
    """Return the attributes of this process that a box must not inherit; with *engine* under an engine."""
    names = [PROCESSORS] if engine else [*OF_CHILD, *OWN]
    return [name for name in names if _differs(name)]


def _differs(name: str) -> bool:
    try:
        return (OF_CHILD.get(name) or OWN[name])[0]()
    except OSError:  # this kernel does not have the attribute
        return False


def reset_child(pid: int, names: Iterable[str]) -> None:
    """Set the defaults of these attributes for the process *pid*. One that the host's root may not set stays."""
    for name in names:
        try:
            OF_CHILD[name][1](pid)
        except PermissionError:
            continue


def reset_own(names: Iterable[str]) -> None:
    """Set the defaults of these attributes for this process. One that is locked stays."""
    for name in names:
        try:
            OWN[name][1]()
        except PermissionError:
            continue
