"""The compiler of profiles, tested by running its programs in the tests' own interpreter."""

from __future__ import annotations

import operator
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.bpf_machine import AARCH64, ALLOW, ARM, ENOSYS, EPERM, I386, KILL_PROCESS, answer
from tinybox.errors import HostError, UsageError
from tinybox.isolation.seccomp.compiler import compile_profile
from tinybox.linux import seccomp
from tinybox.linux.syscalls import X32_SYSCALL_BIT, numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable

Profile = dict[str, Any]
NUMBER = numbers_of("x86_64")
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "SCMP_CMP_EQ": operator.eq,
    "SCMP_CMP_NE": operator.ne,
    "SCMP_CMP_LT": operator.lt,
    "SCMP_CMP_LE": operator.le,
    "SCMP_CMP_GT": operator.gt,
    "SCMP_CMP_GE": operator.ge,
}
# Values around every border between the two halves of an argument.
VALUES = [0, 1, 2, 5, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 5 * 2**32 + 5, 2**63 - 2**32, 2**64 - 1]


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **more: object) -> Profile:
    """Write one entry of ``syscalls``."""
    return {"names": list(names), "action": action, **more}


def when(index: int, op: str, value: int, value_two: int = 0) -> Profile:
    """Write one condition of ``args``."""
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": value_two}


def allowing(*rules: Profile, **more: object) -> bytes:
    """Compile an allow-list for x86-64."""
    return compile_profile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules), **more}, "x86_64")


def denying(*rules: Profile, **more: object) -> bytes:
    """Compile a deny-list for x86-64."""
    return compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **more}, "x86_64")


def test_a_named_call_gets_its_rule_and_its_neighbours_get_the_default() -> None:
    """The rule applies to the named call only."""
    program = allowing(rule("getpid"), rule("bpf"))
    assert answer(program, NUMBER["getpid"]) == ALLOW
    assert answer(program, NUMBER["getpid"] - 1) == EPERM
    assert answer(program, NUMBER["getpid"] + 1) == EPERM


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_every_number_is_found(step: int) -> None:
    """Binary search loses no number: each call of x86-64 is answered by its own rule or by the default."""
    chosen = sorted(NUMBER, key=lambda name: NUMBER[name])[::step]
    program = allowing(*[rule(name, action="SCMP_ACT_ERRNO", errnoRet=NUMBER[name] + 1) for name in chosen])
    for name, number in NUMBER.items():
        expected = seccomp.SECCOMP_RET_ERRNO | number + 1 if name in chosen else EPERM
        if number <= NUMBER[chosen[-1]]:
            assert answer(program, number) == expected, name


def test_jumps_over_255_instructions_work() -> None:
    """A jump's offset is one byte; this program's tree needs longer ones, and still reaches both of its ends."""
    many = [rule("openat", args=[when(1, "EQ", value)]) for value in range(300)]
    program = allowing(rule("read"), *many, rule("bpf"))
    assert len(program) // 8 > 2 * 255
    assert [answer(program, NUMBER[name]) for name in ("read", "write", "bpf")] == [ALLOW, EPERM, ALLOW]
    assert [answer(program, NUMBER["openat"], 0, value) for value in (0, 299, 300)] == [ALLOW, ALLOW, EPERM]


def test_a_program_that_is_too_long_is_refused() -> None:
    """The kernel would return EINVAL; the error gives the number of instructions."""
    many = [rule("openat", args=[when(1, "EQ", value)]) for value in range(600)]
    with pytest.raises(UsageError, match="4096"):
        allowing(*many)


@pytest.mark.parametrize("op", COMPARE)
def test_a_comparison_is_that_of_64_bit_numbers(op: str) -> None:
    """Two comparisons of 32 bits agree with one of 64, on both sides of every border."""
    for value in VALUES:
        program = allowing(rule("read", args=[{"index": 2, "op": op, "value": value}]))
        for argument in VALUES:
            expected = ALLOW if COMPARE[op](argument, value) else EPERM
            assert answer(program, NUMBER["read"], 0, 0, argument) == expected, (argument, op, value)


@pytest.mark.parametrize("mask", VALUES)
def test_a_masked_comparison_uses_only_the_masked_bits(mask: int) -> None:
    """MASKED_EQ compares argument & value with valueTwo."""
    for wanted in VALUES:
        program = allowing(rule("read", args=[when(5, "MASKED_EQ", mask, wanted)]))
        for argument in VALUES:
            expected = ALLOW if argument & mask == wanted & mask else EPERM
            assert answer(program, NUMBER["read"], 0, 0, 0, 0, 0, argument) == expected, (argument, mask, wanted)


def test_the_conditions_of_a_rule_must_all_be_true() -> None:
    """Several conditions on several arguments are an "and": checked on random ones against plain arithmetic."""
    chance = random.Random(5)  # noqa: S311  a seed makes the test repeatable; no secret is drawn
    for _ in range(200):
        conditions = [(index, chance.choice(list(COMPARE)), chance.choice(VALUES)) for index in range(6)]
        conditions = chance.sample(conditions, chance.randint(2, 6))
        program = allowing(rule("read", args=[{"index": i, "op": op, "value": v} for i, op, v in conditions]))
        for _ in range(20):
            arguments = [chance.choice(VALUES) for _ in range(6)]
            holds = all(COMPARE[op](arguments[index], value) for index, op, value in conditions)
            assert answer(program, NUMBER["read"], *arguments) == (ALLOW if holds else EPERM)


def test_two_conditions_on_one_argument_are_alternatives() -> None:
    """As in runc and crun: an argument that is named twice may have either value."""
    program = allowing(rule("read", args=[when(0, "EQ", 3), when(0, "EQ", 4)]))
    assert [answer(program, NUMBER["read"], value) for value in (3, 4, 5)] == [ALLOW, ALLOW, EPERM]


def test_a_rule_without_conditions_has_priority() -> None:
    """As in libseccomp, whichever of the two comes first."""
    narrow, wide = rule("read", args=[when(0, "EQ", 3)]), rule("read", action="SCMP_ACT_TRAP")
    for program in (allowing(narrow, wide), allowing(wide, narrow)):
        assert answer(program, NUMBER["read"], 3) == seccomp.SECCOMP_RET_TRAP
    assert answer(allowing(narrow), NUMBER["read"], 3) == ALLOW


def test_a_rule_that_repeats_the_default_has_no_effect() -> None:
    """As in runc: it does not remove the effect of another rule."""
    program = allowing(rule("read", args=[when(0, "EQ", 3)]), rule("read", action="SCMP_ACT_ERRNO"))
    assert answer(program, NUMBER["read"], 3) == ALLOW


def test_a_name_that_the_machine_lacks_is_ignored() -> None:
    """The rest of the rule applies: profiles are written for more than one machine."""
    assert answer(allowing(rule("riscv_flush_icache", "getpid")), NUMBER["getpid"]) == ALLOW


def test_a_call_newer_than_the_profile_does_not_exist() -> None:
    """A number above all named ones gets ENOSYS, unless the default allows calls."""
    assert answer(allowing(rule("openat2")), NUMBER["openat2"] + 1) == ENOSYS
    assert answer(denying(rule("openat2", action="SCMP_ACT_TRAP")), NUMBER["openat2"] + 1) == ALLOW


@pytest.mark.parametrize("compiled", [allowing, denying])
def test_a_foreign_architecture_is_killed(compiled: Callable[..., bytes]) -> None:
    """The same number is another call there, so no rule can be applied."""
    program = compiled(rule("read", action="SCMP_ACT_LOG"))
    assert answer(program, 0) == seccomp.SECCOMP_RET_LOG
    assert [answer(program, 0, arch=arch) for arch in (I386, AARCH64, ARM, 0)] == [KILL_PROCESS] * 4


def test_a_listed_architecture_has_its_own_numbers() -> None:
    """The call read is 0 for x86-64 and 3 for i386, where 0 is restart_syscall."""
    program = allowing(rule("read", "clone3"), architectures=["SCMP_ARCH_X86"])
    assert [answer(program, number, arch=I386) for number in (0, 3)] == [EPERM, ALLOW]
    assert [answer(program, number) for number in (0, 3)] == [ALLOW, EPERM]


def test_aarch64_has_its_own_numbers() -> None:
    """pivot_root is 41 on aarch64 and 155 on x86-64."""
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("pivot_root", "clone3")]}
    program = compile_profile(profile, "aarch64")
    assert [answer(program, number, arch=AARCH64) for number in (41, 155)] == [ALLOW, EPERM]
    assert answer(program, 41, arch=0xC000003E) == KILL_PROCESS


@pytest.mark.parametrize("compiled", [allowing, denying])
def test_the_x32_bit_evades_no_rule(compiled: Callable[..., bytes]) -> None:
    """A number with the bit is killed if x32 is not listed, and has x32's own rules if it is."""
    trap = rule("getpid", "ioctl", action="SCMP_ACT_TRAP")
    bare, listed = compiled(trap), compiled(trap, architectures=["SCMP_ARCH_X32"])
    assert answer(bare, X32_SYSCALL_BIT | NUMBER["getpid"]) == KILL_PROCESS
    assert answer(listed, X32_SYSCALL_BIT | NUMBER["getpid"]) == seccomp.SECCOMP_RET_TRAP
    assert answer(listed, X32_SYSCALL_BIT | 514) == seccomp.SECCOMP_RET_TRAP  # ioctl, one of those with another number
    assert answer(listed, X32_SYSCALL_BIT | NUMBER["ioctl"]) == answer(listed, NUMBER["read"])  # an unused number


def test_a_call_that_a_tracer_skips_gets_the_default() -> None:
    """The number -1 has the x32 bit, too, and is no call at all."""
    assert answer(allowing(rule("read")), -1) == EPERM


def test_i386_arguments_are_compared_without_their_upper_half() -> None:
    """The kernel ignores it there, so a program could hide a denied value behind it; x86-64 has no such half."""
    program = denying(
        rule("personality", action="SCMP_ACT_TRAP", args=[when(0, "EQ", 8)]), architectures=["SCMP_ARCH_X86"]
    )
    i386 = numbers_of("i386")["personality"]
    for value in (8, 2**32 + 8):
        assert answer(program, i386, value, arch=I386) == seccomp.SECCOMP_RET_TRAP
    assert [answer(program, NUMBER["personality"], value) for value in (8, 2**32 + 8)] == [
        seccomp.SECCOMP_RET_TRAP,
        ALLOW,
    ]


def test_socketcall_is_answered_as_the_call_in_it() -> None:
    """A denied socket(2) is denied by i386's socketcall, too; conditions cannot be checked there: ENOSYS."""
    trap, listed = "SCMP_ACT_TRAP", {"architectures": ["SCMP_ARCH_X86"]}
    socketcall, ipc = numbers_of("i386")["socketcall"], numbers_of("i386")["ipc"]
    program = denying(rule("socket", "shmget", action=trap), **listed)
    assert [answer(program, socketcall, which, arch=I386) for which in (1, 2)] == [seccomp.SECCOMP_RET_TRAP, ALLOW]
    assert [answer(program, ipc, which, arch=I386) for which in (23, 24)] == [seccomp.SECCOMP_RET_TRAP, ALLOW]
    program = denying(rule("socket", action=trap, args=[when(0, "EQ", 40)]), **listed)
    assert [answer(program, socketcall, which, arch=I386) for which in (1, 2)] == [ENOSYS, ALLOW]
    program = allowing(rule("socketcall", "clone3"), **listed)
    assert answer(program, socketcall, 1, arch=I386) == ALLOW


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("SCMP_ACT_KILL", 0),
        ("SCMP_ACT_KILL_THREAD", 0),
        ("SCMP_ACT_KILL_PROCESS", 0x80000000),
        ("SCMP_ACT_TRAP", 0x00030000),
        ("SCMP_ACT_ERRNO", 0x00050001),
        ("SCMP_ACT_NOTIFY", 0x7FC00000),
        ("SCMP_ACT_TRACE", 0x7FF00001),
        ("SCMP_ACT_LOG", 0x7FFC0000),
        ("SCMP_ACT_ALLOW", 0x7FFF0000),
    ],
)
def test_each_action_is_the_kernels_constant(action: str, expected: int) -> None:
    """The constants of linux/seccomp.h; actions with an errno have EPERM by default."""
    program = allowing(rule("read", action=action)) if expected != EPERM else denying(rule("read", action=action))
    assert answer(program, 0) == expected


def test_an_errno_is_passed_on() -> None:
    """Both the default's and a rule's own."""
    program = allowing(rule("read", action="SCMP_ACT_TRACE", errnoRet=7), rule("clone3"), defaultErrnoRet=13)
    assert answer(program, 0) == seccomp.SECCOMP_RET_TRACE | 7
    assert answer(program, 1) == seccomp.SECCOMP_RET_ERRNO | 13


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        ({}, "defaultAction"),
        ({"defaultAction": "SCMP_ACT_MAYBE"}, "defaultAction"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "defaultAction"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}, "defaultAction"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}, "defaultAction"),
        ({"architectures": ["x86_64"]}, r"architectures\[0\]"),
        ({"architectures": "SCMP_ARCH_X86"}, r"architectures"),
        ({"architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_Z80"]}, r"architectures\[1\]"),
        ({"syscalls": ["read"]}, r"syscalls"),
        ({"syscalls": [rule()]}, r"syscalls\[0\].names"),
        ({"syscalls": [rule("read", args={"index": 0})]}, r"syscalls\[0\].args"),
        ({"syscalls": [{"action": "SCMP_ACT_TRAP"}]}, r"syscalls\[0\].names"),
        ({"syscalls": [{"action": "SCMP_ACT_TRAP", "names": "read"}]}, r"syscalls\[0\].names"),
        ({"syscalls": [rule("read"), rule("write", action="ALLOW")]}, r"syscalls\[1\].action"),
        ({"syscalls": [rule("read", errnoRet=2)]}, r"syscalls\[0\].action"),
        ({"syscalls": [rule("write", action="SCMP_ACT_NOTIFY")]}, r"syscalls\[0\].action"),
        ({"syscalls": [rule("read", args=[when(6, "EQ", 0)])]}, r"syscalls\[0\].args\[0\].index"),
        ({"syscalls": [rule("read", args=[when(0, "EQ", 2**64)])]}, r"args\[0\].value"),
        ({"syscalls": [rule("read", args=[when(0, "EQ", 0, -1)])]}, r"args\[0\].valueTwo"),
        ({"syscalls": [rule("read", args=[when(0, "EQ", 0), when(1, "LIKE", 0)])]}, r"args\[1\].op"),
        ({"syscalls": [rule("read", args=[{"index": 0, "op": "SCMP_CMP_EQ"}])]}, r"args\[0\].value"),
    ],
)
def test_a_fault_is_named_with_its_field(profile: Profile, field: str) -> None:
    """The error names which of five hundred lines is wrong."""
    full = {"defaultAction": "SCMP_ACT_ERRNO", **profile} if profile else profile
    with pytest.raises(UsageError, match=field):
        compile_profile(full, "x86_64")


def test_an_unknown_machine_is_named() -> None:
    """There is no table of numbers for it."""
    with pytest.raises(HostError, match="riscv64"):
        compile_profile({"defaultAction": "SCMP_ACT_ALLOW"}, "riscv64")
