"""Which devices a container may open or make: version 2 asks a small BPF program, version 1 keeps a list.

A device file is only a name; the power is in its number (1:3 is /dev/null, 8:0 the first disk), and mknod(2) can write
any number. So the kernel asks, for each open and each mknod, a program that knows the numbers which are allowed.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError
from tinybox.isolation.cgroups.device_rules import EVERY_ACCESS, TYPE, number
from tinybox.linux import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.isolation.cgroups.device_rules import Rule
    from tinybox.isolation.cgroups.group import Cgroup


# struct bpf_cgroup_dev_ctx and its bits, from linux/bpf.h.
ACCESS = {"m": 1, "r": 2, "w": 4}
CTX_ACCESS_TYPE, CTX_MAJOR, CTX_MINOR = 0, 4, 8
TYPE_REGISTER, WANTED, MAJOR, MINOR = 2, 3, 4, 5  # r1 holds the context, r0 the answer


def allow_devices(group: Cgroup, rules: Sequence[Rule]) -> None:
    """Let the processes of *group* open and make only the devices that *rules* allow; see bpf(2) and cgroups(7).

    To be called once for a group: programs add up, and a device must pass them all. HostError says why the kernel
    refuses (no BPF for control groups, no privilege).
    """
    if group.hierarchies.version("devices") == 1:
        from tinybox.isolation.cgroups import device_lists  # version 2 has no need of it

        return device_lists.allow_devices(group, rules)
    directory = group.open()
    if directory is None:
        raise HostError("linux.resources.devices", "this host has neither cgroup2 nor the v1 controller devices")
    try:
        filter_fd = bpf.prog_load(bpf.BPF_PROG_TYPE_CGROUP_DEVICE, program(rules))
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


def program(rules: Sequence[Rule]) -> bytes:
    """Compile OCI device *rules* to a program of type BPF_PROG_TYPE_CGROUP_DEVICE; see bpf(2).

    Rules hold in their order, so the last one that fits decides, and what no rule names is refused. The program walks
    them backwards. In r3 it keeps the accesses still asked for: an allowing rule strikes off those it grants, and when
    none is left the answer is 1; a refusing rule that meets one of them answers 0.
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
