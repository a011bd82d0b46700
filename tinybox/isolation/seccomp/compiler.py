"""Compile a seccomp profile (OCI's ``linux.seccomp``) to the BPF program that the kernel runs for each system call.

The program first checks the architecture of the call, because a number means nothing without it. Then it finds the
action for the call's number by binary search, and tests arguments only for a rule that has conditions.

A profile has the same meaning as for runc and crun, which use libseccomp:

- a call that no rule names gets ``defaultAction``; a name that an architecture lacks is ignored for that architecture;
- for the same call, a rule without conditions has precedence over rules with conditions; a rule with the default action
  has no effect; all conditions of a rule must hold, but if two of them test the same argument, one of all is enough;
- a number above all numbers of the profile is a call newer than the profile: ENOSYS, so that libc tries an older call.
"""

from __future__ import annotations

import errno

from tinybox.errors import HostError, UsageError
from tinybox.linux import seccomp, syscalls
from tinybox.linux.seccomp import sock_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, TypeVar

    Kind = TypeVar("Kind")
    Test = tuple[str, int, int, int, bool]  # operator, index of the argument, value, valueTwo, 64 bits (or 32)

ACTIONS = {
    "SCMP_ACT_KILL": seccomp.SECCOMP_RET_KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": seccomp.SECCOMP_RET_KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": seccomp.SECCOMP_RET_KILL_PROCESS,
    "SCMP_ACT_TRAP": seccomp.SECCOMP_RET_TRAP,
    "SCMP_ACT_ERRNO": seccomp.SECCOMP_RET_ERRNO,
    "SCMP_ACT_NOTIFY": seccomp.SECCOMP_RET_USER_NOTIF,
    "SCMP_ACT_TRACE": seccomp.SECCOMP_RET_TRACE,
    "SCMP_ACT_LOG": seccomp.SECCOMP_RET_LOG,
    "SCMP_ACT_ALLOW": seccomp.SECCOMP_RET_ALLOW,
}
WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")

# The system call tables of each machine's kernel, under OCI's names; the machine's native table is the first.
TABLES = {
    "x86_64": {"SCMP_ARCH_X86_64": "x86_64", "SCMP_ARCH_X32": "x32", "SCMP_ARCH_X86": "i386"},
    "aarch64": {"SCMP_ARCH_AARCH64": "aarch64"},
}
ARCHES = frozenset(  # the architectures of the OCI specification
    "X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC "
    "PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB".split()
)
AUDIT_ARCH = {
    "x86_64": seccomp.AUDIT_ARCH_X86_64,
    "x32": seccomp.AUDIT_ARCH_X86_64,
    "i386": seccomp.AUDIT_ARCH_I386,
    "aarch64": seccomp.AUDIT_ARCH_AARCH64,
}
KILL = sock_filter(seccomp.BPF_RET_K, seccomp.SECCOMP_RET_KILL_PROCESS)
NO_SUCH_CALL = sock_filter(seccomp.BPF_RET_K, seccomp.SECCOMP_RET_ERRNO | errno.ENOSYS)
SKIPPED = 0xFFFFFFFF  # the number -1, by which a tracer skips the call; see ptrace(2)


def compile_profile(profile: Mapping[str, Any], machine: str) -> bytes:
    """Return the program for the OCI object ``linux.seccomp`` on *machine*, as bytes for seccomp(2).

    A call on an architecture that the profile does not list, or that has no table here, kills the process. UsageError:
    a field is wrong (the error names it), or the program has more than BPF_MAXINSNS instructions. HostError: there is
    no table for *machine*.
    """
    if machine not in TABLES:
        raise HostError(f"machine {machine}", "its system call numbers are not known", f"{' and '.join(TABLES)} are")
    default = action_of(profile.get("defaultAction"), profile.get("defaultErrnoRet"), "defaultAction")
    newer = default if profile["defaultAction"] in PERMISSIVE else NO_SUCH_CALL
    sections: dict[int, dict[int, bytes]] = {}
    for table in tables_of(profile, machine):
        marks = sections.setdefault(AUDIT_ARCH[table], {SKIPPED: default, syscalls.X32_SYSCALL_BIT: KILL})
        marks.update(marks_of(table, answers_of(profile, default, table != "i386"), default, newer))
    program = KILL
    for arch, marks in sections.items():
        section = sock_filter(seccomp.BPF_LD_W_ABS, seccomp.NR) + halve(merge(marks))
        program = branch(seccomp.BPF_JEQ_K, arch, section, program)
    return checked(sock_filter(seccomp.BPF_LD_W_ABS, seccomp.ARCH) + program)


def checked(program: bytes) -> bytes:
    """Return *program*; UsageError: it is too long for the kernel; see BPF_MAXINSNS in seccomp(2)."""
    if length(program) > seccomp.BPF_MAXINSNS:
        cause = f"the filter has {length(program)} instructions, the kernel accepts {seccomp.BPF_MAXINSNS}"
        raise UsageError("linux.seccomp", cause, "use fewer rules with args")
    return program


# Reading the profile.


def tables_of(profile: Mapping[str, Any], machine: str) -> list[str]:
    """Return the names of the tables to compile: the machine's native one, and the others that the profile lists."""
    listed = list_of(str, profile.get("architectures"), "architectures")
    for place, name in enumerate(listed):
        if not name.startswith("SCMP_ARCH_") or name.removeprefix("SCMP_ARCH_") not in ARCHES:
            raise UsageError(f"linux.seccomp.architectures[{place}]", f"{name!r} is not an architecture", "SCMP_ARCH_*")
    native, *_ = tables = TABLES[machine]
    return [table for name, table in tables.items() if name == native or name in listed]


def answers_of(profile: Mapping[str, Any], default: bytes, wide: bool) -> dict[str, bytes]:
    """Return, for each name in the profile, the code that decides its calls; *wide*: arguments have 64 bits, not 32."""
    conditional: dict[str, bytes] = {}
    always: dict[str, bytes] = {}
    for position, entry in enumerate(list_of(dict, profile.get("syscalls"), "syscalls")):
        place = f"syscalls[{position}]"
        action = action_of(entry.get("action"), entry.get("errnoRet"), f"{place}.action")
        rules = rules_of(list_of(dict, entry.get("args"), f"{place}.args"), action, wide, f"{place}.args")
        for name in names_of(entry, place):
            conditional.setdefault(name, b"")
            if action == default:
                continue
            if rules:
                conditional[name] += rules
            else:
                always.setdefault(name, action)
    return {name: rules + default for name, rules in conditional.items()} | always


def names_of(entry: Mapping[str, Any], place: str) -> list[str]:
    """Return the system call names of the *entry*; UsageError: there are none, or ``write`` is left to an agent."""
    names = list_of(str, entry.get("names"), f"{place}.names")
    if not names:
        raise UsageError(f"linux.seccomp.{place}.names", "there is none", "name a system call")
    if entry["action"] == "SCMP_ACT_NOTIFY" and "write" in names:
        cause = "tinybox needs write(2) to send the listener's fd, and would wait for an answer of the listener"
        raise UsageError(f"linux.seccomp.{place}.action", cause, "leave write out")
    return names


def action_of(action: object, errno_ret: object, place: str) -> bytes:
    """Return the instruction that returns *action*, with *errno_ret* if the action has an errno."""
    answer = ACTIONS[one_of(action, ACTIONS, place)]
    if action == "SCMP_ACT_NOTIFY" and place == "defaultAction":
        cause = "no agent could answer before the program runs"
        raise UsageError("linux.seccomp.defaultAction", cause, "name the calls")
    if action in WITH_ERRNO:
        answer |= errno.EPERM if errno_ret is None else whole(errno_ret, seccomp.SECCOMP_RET_DATA, f"{place} errnoRet")
    elif errno_ret is not None:
        raise UsageError(f"linux.seccomp.{place}", f"{action} carries no errno", "leave out errnoRet")
    return sock_filter(seccomp.BPF_RET_K, answer)


def rules_of(conditions: list[dict[str, Any]], action: bytes, wide: bool, place: str) -> bytes:
    """Return the code that returns *action* if the conditions hold, and otherwise continues after its end."""
    tests = [test_of(condition, wide, f"{place}[{position}]") for position, condition in enumerate(conditions)]
    if len({condition["index"] for condition in conditions}) == len(tests):
        return all_of(tests, action) if tests else b""
    return b"".join(all_of([test], action) for test in tests)


def test_of(condition: Mapping[str, Any], wide: bool, place: str) -> Test:
    """Return a condition as a Test; UsageError: one of its fields is wrong."""
    names = [f"SCMP_CMP_{operator}" for operator in OPERATORS]
    operator = one_of(condition.get("op"), names, f"{place}.op").removeprefix("SCMP_CMP_")
    index = whole(condition.get("index"), 5, f"{place}.index")
    value = whole(condition.get("value"), 2**64 - 1, f"{place}.value")
    return operator, index, value, whole(condition.get("valueTwo") or 0, 2**64 - 1, f"{place}.valueTwo"), wide


def list_of(kind: type[Kind], value: object, place: str) -> list[Kind]:
    """Return *value* if it is a list of *kind*, or an empty list for None; UsageError: it is something else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise UsageError(
            f"linux.seccomp.{place}", f"{value!r} is not a list of {'strings' if kind is str else 'objects'}"
        )
    return value


def one_of(value: object, known: Collection[str], place: str) -> str:
    """Return *value* if it is one of the *known* strings; UsageError: it is not."""
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"linux.seccomp.{place}", f"{value!r} is not known", f"one of {', '.join(known)}")
    return value


def whole(value: object, most: int, place: str) -> int:
    """Return *value* if it is a whole number from 0 to *most*; UsageError: it is not."""
    if not isinstance(value, int) or not 0 <= value <= most:
        raise UsageError(f"linux.seccomp.{place}", f"{value!r} is not a whole number from 0 to {most}")
    return value


# From actions for names to a binary search by number.


def marks_of(table: str, answers: dict[str, bytes], default: bytes, newer: bytes) -> dict[int, bytes]:
    """Return {number: the code for calls from this number on} for one system call table."""
    if table == "i386":
        answers = multiplexed(answers, default) | answers
    numbers = {number: answers[name] for name, number in syscalls.numbers_of(table).items() if name in answers}
    first = syscalls.X32_SYSCALL_BIT if table == "x32" else 0
    marks = {first: default} | {number + 1: default for number in numbers}
    return marks | ({max(numbers) + 1: newer} if numbers else {}) | numbers


def multiplexed(answers: Mapping[str, bytes], default: bytes) -> dict[str, bytes]:
    """Return code for socketcall(2) and ipc(2) that decides as for the real call, which the first argument selects.

    The other arguments are behind a pointer, where a filter cannot read: a call with conditions on them gets ENOSYS.
    """
    calls: dict[str, bytes] = {}
    for call, members in syscalls.MULTIPLEXED.items():
        rules = [
            all_of([("EQ", 0, number, 0, False)], answers[name] if length(answers[name]) == 1 else NO_SUCH_CALL)
            for name, number in syscalls.count(members).items()
            if name in answers
        ]
        if rules:
            calls[call] = b"".join(rules) + default
    return calls


def merge(marks: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
    """Return the marks in order, without those with the same code as the mark before."""
    spans: list[tuple[int, bytes]] = []
    for number, answer in sorted(marks.items()):
        if not spans or spans[-1][1] != answer:
            spans.append((number, answer))
    return spans


def halve(spans: list[tuple[int, bytes]]) -> bytes:
    """Return the code that finds the span of the accumulator's value by binary search, and continues with its code."""
    if len(spans) == 1:
        return spans[0][1]
    middle = len(spans) // 2
    return branch(seccomp.BPF_JGE_K, spans[middle][0], halve(spans[middle:]), halve(spans[:middle]))


# Pieces of code.


def length(program: bytes) -> int:
    """Return the number of instructions."""
    return len(program) // 8


def branch(test: int, k: int, yes: bytes, no: bytes) -> bytes:
    """Return code that continues with *yes* if the accumulator passes the *test*, else with *no*; both must return.

    The jump of a test reaches 255 instructions. If *no* is longer, the test jumps over an unconditional jump, which has
    no such limit.
    """
    if length(no) <= 255:
        return sock_filter(test, k, jt=length(no)) + no + yes
    return sock_filter(test, k, jf=1) + sock_filter(seccomp.BPF_JA, length(no)) + no + yes


def all_of(tests: list[Test], action: bytes) -> bytes:
    """Return code for *action* if all *tests* hold; else it continues after its end.

    It is built from its end, because each test must know the distance to the end.
    """
    rule = action
    for test in reversed(tests):
        rule = compare(*test, miss=length(rule)) + rule
    return rule


def compare(operator: str, index: int, value: int, value_two: int, wide: bool, miss: int) -> bytes:
    """Return code that compares argument *index* with *value*: if true it continues, else it jumps *miss* instructions.

    The accumulator has 32 bits and an argument 64, so the upper halves are compared first; if these are equal, the
    lower halves decide. NE, LE and LT are EQ, GT and GE with exchanged exits. For a call of i386 (not *wide*) the
    kernel ignores the upper half of an argument, which may have any value: it counts as zero here.
    """
    hit, miss = (miss, 0) if operator in {"NE", "LE", "LT"} else (0, miss)
    low, high = (sock_filter(seccomp.BPF_LD_W_ABS, seccomp.ARGS + 8 * index + half) for half in (0, 4))
    high = high if wide else sock_filter(seccomp.BPF_LD_IMM, 0)
    if operator in {"EQ", "NE", "MASKED_EQ"}:
        mask, value = (value, value_two & value) if operator == "MASKED_EQ" else (2**64 - 1, value)
        code = high + sock_filter(seccomp.BPF_AND_K, mask >> 32)
        code += sock_filter(seccomp.BPF_JEQ_K, value >> 32, jf=miss + 3)
        code += low + sock_filter(seccomp.BPF_AND_K, mask & 0xFFFFFFFF)
        return code + sock_filter(seccomp.BPF_JEQ_K, value & 0xFFFFFFFF, jt=hit, jf=miss)
    code = high + sock_filter(seccomp.BPF_JGT_K, value >> 32, jt=hit + 3)
    code += sock_filter(seccomp.BPF_JEQ_K, value >> 32, jf=miss + 2)
    last = seccomp.BPF_JGT_K if operator in {"GT", "LE"} else seccomp.BPF_JGE_K
    return code + low + sock_filter(last, value & 0xFFFFFFFF, jt=hit, jf=miss)
