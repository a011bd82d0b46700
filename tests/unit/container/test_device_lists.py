"""Version 1's lists of devices: what is written, tried on a small controller that keeps them as the kernel does."""

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
        """Take a line, as the kernel does when nothing above the group is narrower."""
        allow = file == "devices.allow"
        if line == "a":
            self.allowing, self.exceptions = allow, {}
            return
        kind, numbers, access = line.split()
        major, minor = numbers.split(":")
        exception = self.exceptions.setdefault((kind, major, minor), set())  # the very same numbers, or a new one
        if allow == self.allowing:
            exception.difference_update(access)
        else:
            exception.update(access)

    def lets(self, device: Device, access: str) -> bool:
        """Tell whether a process of the group gets this one access."""
        fits = any(
            kind == device[0]
            and major in ("*", str(device[1]))
            and minor in ("*", str(device[2]))
            and (access in letters)
            for (kind, major, minor), letters in self.exceptions.items()
        )
        return fits != self.allowing


def controller(rules: list[dict[str, Any]]) -> Controller:
    """Return a group to which is written what *rules* come to."""
    group = Controller()
    for setting in settings(rules):
        group.write(setting.file, setting.value)
    return group


def test_the_default_list_is_written_a_rule_a_line() -> None:
    """Everything is taken away once, whatever the first rule says."""
    lines = [(setting.file, setting.value) for setting in settings(DEFAULT_DEVICES)]
    assert lines[:4] == [
        ("devices.deny", "a"),
        ("devices.allow", "c *:* m"),
        ("devices.allow", "b *:* m"),
        ("devices.allow", "c 1:3 rwm"),
    ]
    assert len(lines) == len(DEFAULT_DEVICES)


def test_a_rule_for_both_types_is_two_lines() -> None:
    """The kernel reads nothing behind the letter ``a``: it is everything."""
    rule = {"allow": True, "type": "a", "major": 10, "access": "r"}
    assert [setting.value for setting in settings([DENY_ALL, rule])] == ["a", "b 10:* r", "c 10:* r"]


def test_a_wide_refusal_takes_away_what_was_allowed_in_it() -> None:
    """The kernel looks for the very same numbers, so each of them is named."""
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
def test_what_a_list_cannot_say_is_refused(rules: list[dict[str, Any]], says: str) -> None:
    """The kernel would take the line and do nothing; with another access there is nothing to take out."""
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
def test_a_list_that_is_not_refused_says_what_the_program_says(
    rules: list[dict[str, Any]], device: Device, access: str
) -> None:
    """Version 1 and version 2 are asked for each access alone."""
    try:
        group = controller(rules)
    except UsageError:
        assume(False)
    assert group.lets(device, access) == run(program(rules), device, access)
