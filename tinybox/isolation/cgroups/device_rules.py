"""Device rules: OCI's ``linux.resources.devices``, and the devices that every container may use.

device_filter.py gives them to version 2 of control groups, device_lists.py to version 1.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Rule = Mapping[str, Any]  # OCI linux.resources.devices[]: allow, type, major, minor, access

TYPE = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK and _CHAR of linux/bpf.h
EVERY_ACCESS = "rwm"


def _allow(kind: str, major: int | None = None, minor: int | None = None, access: str = EVERY_ACCESS) -> Rule:
    numbers = {name: value for name, value in (("major", major), ("minor", minor)) if value is not None}
    return {"allow": True, "type": kind, **numbers, "access": access}


DEFAULT_DEVICES: tuple[Rule, ...] = (
    {"allow": False, "access": EVERY_ACCESS},  # all devices are refused, except:
    _allow("c", access="m"),  # mknod(2) of any device: this is harmless, because opening it is refused
    _allow("b", access="m"),
    _allow("c", 1, 3),  # null
    _allow("c", 1, 5),  # zero
    _allow("c", 1, 7),  # full
    _allow("c", 1, 8),  # random
    _allow("c", 1, 9),  # urandom
    _allow("c", 5, 0),  # tty
    _allow("c", 5, 1),  # console
    _allow("c", 5, 2),  # ptmx
    _allow("c", 136),  # pts/*
)


def complete(rules: Sequence[Rule] | None, nodes: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """Return *rules*, followed by rules for the default devices, which every container has; see OCI's config-linux.

    If *rules* is None, only the default devices and the *nodes* of ``linux.devices`` are allowed.
    """
    if rules is None:
        listed = [_allow(node["type"], node["major"], node["minor"]) for node in nodes if node["type"] in TYPE]
        return [*DEFAULT_DEVICES, *listed]
    last = max((number for number, rule in enumerate(rules) if not rule["allow"]), default=-1)
    allowed = rules[last + 1 :]  # a later refusal may cancel an earlier permission
    return [*rules, *(rule for rule in DEFAULT_DEVICES[1:] if rule not in allowed)]


def number(rule: Rule, name: str) -> int | None:
    """Return the major or minor number of *rule*, or None for any number: it is missing, or -1."""
    found: int | None = rule.get(name)
    return None if found is None or found < 0 else found
