"""Version 1's lists of devices: the lines, tested with a small controller that stores them as the kernel does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from tests.unit.linux.test_bpf import DENY_ALL, Device, run
from tinybox.errors import UsageError
from tinybox.isolation.cgroups.device_filter import program
from tinybox.isolation.cgroups.device_lists import settings
from tinybox.isolation.cgroups.device_rules import DEFAULT_DEVICES

ALLOW_ALL: dict[str, Any] = {"allow": True, "access": "rwm"}
DISKS: dict[str, Any] = {"allow": True, "type": "b", "major": 8, "access": "rw"}
DISK: dict[str, Any] = {"type": "b", "major": 8, "minor": 0, "access": "w"}


class Controller:
    """A group of the controller ``devices``, as security/device_cgroup.c keeps it."""

    def __init__(self) -> None:
        self.allowing = True
        self.exceptions: dict[tuple[str, str, str], set[str]] = {}

    def write(self, file: str, line: str) -> None:
        """Accept a line, as the kernel does if no group above is narrower."""
        allow = file == "devices.allow"
        if line == "a":
            self.allowing, self.exceptions = allow, {}
            return
        kind, numbers, access = line.split()
        major, minor = numbers.split(":")
        exception = self.exceptions.setdefault((kind, major, minor), set())  # the same numbers, or a new entry
        if allow == self.allowing:
            exception.difference_update(access)
        else:
            exception.update(access)

    def lets(self, device: Device, access: str) -> bool:
        """Tell whether a process of the group may have this one access."""
        fits = any(
            kind == device[0]
            and major in ("*", str(device[1]))
            and minor in ("*", str(device[2]))
            and (access in letters)
            for (kind, major, minor), letters in self.exceptions.items()
        )
        return fits != self.allowing


def controller(rules: list[dict[str, Any]]) -> Controller:
    """Return a group after writing the lines for *rules*."""
    group = Controller()
    for setting in settings(rules):
        group.write(setting.file, setting.value)
    return group


def test_the_default_list_is_written_a_rule_a_line() -> None:
    """First all permissions are removed, whatever the first rule says."""
    lines = [(setting.file, setting.value) for setting in settings(DEFAULT_DEVICES)]
    assert lines[:4] == [
        ("devices.deny", "a"),
        ("devices.allow", "c *:* m"),
        ("devices.allow", "b *:* m"),
        ("devices.allow", "c 1:3 rwm"),
    ]
    assert len(lines) == len(DEFAULT_DEVICES)


def test_a_rule_for_both_types_is_two_lines() -> None:
    """The kernel reads nothing after the letter ``a``: it means everything."""
    rule = {"allow": True, "type": "a", "major": 10, "access": "r"}
    assert [setting.value for setting in settings([DENY_ALL, rule])] == ["a", "b 10:* r", "c 10:* r"]


def test_a_wide_refusal_removes_the_permissions_in_it() -> None:
    """The kernel compares the numbers exactly, so the list names each of them."""
    wide = {"allow": False, "type": "b", "major": 8, "access": "wm"}
    lines = [setting.value for setting in settings([DENY_ALL, {**DISK, "allow": True, "access": "rw"}, wide])]
    assert lines == ["a", "b 8:0 rw", "b 8:0 w"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([DENY_ALL, DISKS, {**DISK, "allow": False}], "cannot refuse b 8:0 w out of b 8:* rw, which it is to allow"),
        (
            [ALLOW_ALL, {**DISKS, "allow": False}, {**DISK, "allow": True}],
            "cannot allow b 8:0 w out of b 8:* rw, which it is to refuse",
        ),
    ],
)
def test_rules_that_a_list_cannot_express_are_refused(rules: list[dict[str, Any]], says: str) -> None:
    """The kernel would accept the line and do nothing; with another access there is nothing to remove."""
    with pytest.raises(UsageError, match=re.escape(says)):
        settings(rules)
    settings([*rules[:2], {**rules[2], "access": "m"}])


RULES = some.fixed_dictionaries(
    {"allow": some.booleans(), "access": some.sampled_from(["r", "w", "m", "rw", "rwm"])},
    optional={
        "type": some.sampled_from("abc"),
        "major": some.sampled_from([-1, 1, 8]),
        "minor": some.sampled_from([-1, 0, 3]),
    },
)
DEVICES = some.tuples(some.sampled_from("bc"), some.sampled_from([1, 8, 9]), some.sampled_from([0, 3, 4]))


@given(some.lists(RULES, max_size=6), DEVICES, some.sampled_from("rwm"))
def test_an_accepted_list_agrees_with_the_program(rules: list[dict[str, Any]], device: Device, access: str) -> None:
    """Version 1 and version 2 are compared for each access."""
    try:
        group = controller(rules)
    except UsageError:
        assume(False)
    assert group.lets(device, access) == run(program(rules), device, access)
