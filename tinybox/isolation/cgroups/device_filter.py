"""Device access of a container (--device, --device-cgroup-rule): a BPF program for cgroup v2; for v1 see device_lists.

A device file is only a name for a device number (1:3 is /dev/null, 8:0 the first disk), and mknod(2) can make a file
with any number. So the kernel runs, for each open and each mknod, a program that knows the allowed numbers.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError
from tinybox.isolation.cgroups.device_rules import EVERY_ACCESS, TYPE, number
from tinybox.linux import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tinybox.isolation.cgroups.device_rules import Rule
    from tinybox.isolation.cgroups.group import Cgroup


# struct bpf_cgroup_dev_ctx and its bits, from linux/bpf.h.
ACCESS = {"m": 1, "r": 2, "w": 4}
CTX_ACCESS_TYPE, CTX_MAJOR, CTX_MINOR = 0, 4, 8
TYPE_REGISTER, WANTED, MAJOR, MINOR = 2, 3, 4, 5  # registers; r1 has the context, r0 the return value
_former: list[Any] = []  # the last rules, and their program


def allow_devices(group: Cgroup, rules: Sequence[Rule]) -> None:
    """Let the processes of *group* open and make only the devices that *rules* allow; see bpf(2) and cgroups(7).

    Call it once for a group: each call adds a program, and all of them must allow a device. HostError: the kernel
    refuses (no BPF for control groups, no privilege).
    """
    if group.hierarchies.version("devices") == 1:
        from tinybox.isolation.cgroups import device_lists  # version 2 does not need it

        return device_lists.allow_devices(group, rules)
    directory = group.open()
    if directory is None:
        raise HostError("linux.resources.devices", "this host has neither cgroup2 nor the v1 controller devices")
    try:
        filter_fd = bpf.prog_load(bpf.BPF_PROG_TYPE_CGROUP_DEVICE, _compiled(rules))
        try:
            bpf.prog_attach(directory, filter_fd, bpf.BPF_CGROUP_DEVICE, bpf.BPF_F_ALLOW_MULTI)
        finally:
            os.close(filter_fd)
    except OSError as error:
        cause = f"the kernel refuses the BPF device filter ({error})"
        raise HostError("linux.resources.devices", cause, "it needs CONFIG_CGROUP_BPF and CAP_SYS_ADMIN") from error
    finally:
        os.close(directory)
    return None


def _compiled(rules: Sequence[Rule]) -> bytes:
    """Return the program for *rules*; a process that makes many containers compiles the usual one once."""
    if not _former or _former[0] != rules:
        _former[:] = list(rules), program(rules)
    return bytes(_former[1])


def program(rules: Sequence[Rule]) -> bytes:
    """Compile OCI device *rules* to a program of type BPF_PROG_TYPE_CGROUP_DEVICE; see bpf(2).

    The last rule that matches a device decides, and a device that no rule names is refused. So the program tests the
    rules from the last to the first. Register r3 has the requested accesses that are not decided yet: a matching rule
    that allows removes its accesses from r3, and if none is left the program returns 1; a matching rule that refuses
    one of them returns 0.
    """
    code = bpf.Assembler()
    code.add(bpf.BPF_LDX_W, dst=TYPE_REGISTER, src=1, offset=CTX_ACCESS_TYPE)
    code.add(bpf.BPF_AND32, dst=TYPE_REGISTER, immediate=0xFFFF)
    code.add(bpf.BPF_LDX_W, dst=WANTED, src=1, offset=CTX_ACCESS_TYPE)
    code.add(bpf.BPF_RSH32, dst=WANTED, immediate=16)
    code.add(bpf.BPF_LDX_W, dst=MAJOR, src=1, offset=CTX_MAJOR)
    code.add(bpf.BPF_LDX_W, dst=MINOR, src=1, offset=CTX_MINOR)
    for place, rule in enumerate(reversed(rules)):
        _add_rule(code, rule, otherwise=f"after rule {place}")
    code.label("refuse")
    code.add(bpf.BPF_MOV64, dst=0, immediate=0)
    code.add(bpf.BPF_EXIT)
    if code.wants("permit"):
        code.label("permit")
        code.add(bpf.BPF_MOV64, dst=0, immediate=1)
        code.add(bpf.BPF_EXIT)
    return code.assemble()


def _add_rule(code: bpf.Assembler, rule: Rule, otherwise: str) -> None:
    for register, value in (
        (TYPE_REGISTER, TYPE.get(rule.get("type") or "a")),
        (MAJOR, number(rule, "major")),
        (MINOR, number(rule, "minor")),
    ):
        if value is not None:
            code.add(bpf.BPF_JNE32, dst=register, immediate=value, to=otherwise)
    access = sum(ACCESS[letter] for letter in set(rule.get("access") or EVERY_ACCESS))
    if rule["allow"]:
        code.add(bpf.BPF_AND32, dst=WANTED, immediate=~access)
        code.add(bpf.BPF_JEQ32, dst=WANTED, immediate=0, to="permit")
    else:
        code.add(bpf.BPF_JSET32, dst=WANTED, immediate=access, to="refuse")
    code.label(otherwise)
