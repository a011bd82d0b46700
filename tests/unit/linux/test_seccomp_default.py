"""The default profile: which calls it allows, which it refuses, and what a capability changes."""

from __future__ import annotations

import json

import pytest

from tests.support.bpf_machine import AARCH64, ALLOW, ENOSYS, EPERM, I386, answer
from tinybox.isolation.seccomp.compiler import compile_profile
from tinybox.isolation.seccomp.default_profile import ALWAYS, BY_CAPABILITY, SHUT_FAMILIES, default_profile
from tinybox.linux.syscalls import MULTIPLEXED, count, numbers_of

NUMBER = numbers_of("x86_64")
PLAIN = compile_profile(default_profile([], "x86_64"), "x86_64")
ADMIN = compile_profile(default_profile(["CAP_SYS_ADMIN"], "x86_64"), "x86_64")
CLONE_NEWUSER, CLONE_THREAD = 0x10000000, 0x00010000


def test_programs_get_the_usual_calls() -> None:
    """Some calls of each subject are allowed, by all three ways into an x86-64 kernel, and on aarch64."""
    calls = "read openat execve exit_group mmap futex rt_sigaction sendto clock_gettime getrandom prctl ioctl".split()
    other = compile_profile(default_profile([], "aarch64"), "aarch64")
    for name in calls:
        assert answer(PLAIN, NUMBER[name]) == ALLOW, name
        assert answer(PLAIN, numbers_of("x32")[name]) == ALLOW, name
        assert answer(PLAIN, numbers_of("i386").get(name, 3), arch=I386) == ALLOW, name
        assert answer(other, numbers_of("aarch64")[name], arch=AARCH64) == ALLOW, name


@pytest.mark.parametrize(
    "name",
    "mount umount2 pivot_root unshare setns keyctl add_key request_key kexec_load swapon reboot init_module bpf "
    "perf_event_open userfaultfd io_uring_setup open_by_handle_at settimeofday move_pages quotactl chroot".split(),
)
def test_dangerous_calls_are_refused(name: str) -> None:
    """EPERM, as the kernel would answer a program without the capability."""
    assert answer(PLAIN, NUMBER[name]) == EPERM


@pytest.mark.parametrize("capability", BY_CAPABILITY)
def test_a_capability_opens_its_own_calls_and_no_others(capability: str) -> None:
    """With the capability its calls are allowed; without it, those are refused that no rule of its own covers."""
    program = compile_profile(default_profile([capability], "x86_64"), "x86_64")
    gained = {name for name, number in NUMBER.items() if answer(program, number) != answer(PLAIN, number)}
    expected = set(BY_CAPABILITY[capability].split()) & NUMBER.keys()
    already = {name for group in ALWAYS.values() for name in group.split()} | {"clone"}
    assert gained == expected - already
    assert all(answer(program, NUMBER[name]) == ALLOW for name in expected)


def test_clone_makes_threads_but_no_namespaces() -> None:
    """The flags are clone's first argument; clone3 hides them in memory, and so is ENOSYS."""
    assert answer(PLAIN, NUMBER["clone"], CLONE_THREAD) == ALLOW
    assert answer(PLAIN, NUMBER["clone"], CLONE_THREAD | CLONE_NEWUSER) == EPERM
    assert answer(PLAIN, NUMBER["clone3"]) == ENOSYS
    assert answer(ADMIN, NUMBER["clone"], CLONE_NEWUSER) == ALLOW
    assert answer(ADMIN, NUMBER["clone3"]) == ALLOW


def test_forbidden_families_of_sockets_stay_forbidden() -> None:
    """Every family below AF_MAX is allowed except those listed, and none above it."""
    opened = {family for family in range(64) if answer(PLAIN, NUMBER["socket"], family) == ALLOW}
    assert opened == set(range(46)) - SHUT_FAMILIES.keys()


def test_socketcall_opens_no_socket() -> None:
    """i386's socketcall and ipc allow every call that has its own number, but not socket(2): its family is hidden."""
    for call, hidden in (("socketcall", {"socket"}), ("ipc", set[str]())):
        number = numbers_of("i386")[call]
        answers = {name: answer(PLAIN, number, which, arch=I386) for name, which in count(MULTIPLEXED[call]).items()}
        assert {name for name, said in answers.items() if said == ENOSYS} == hidden
        assert {name for name, said in answers.items() if said == ALLOW} == answers.keys() - hidden
        assert answer(PLAIN, number, 99, arch=I386) == EPERM


def test_only_harmless_personalities_are_allowed() -> None:
    """Turning off address randomisation (0x40000) is refused; reading the personality is allowed."""
    chosen = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000, 0x40008)
    allowed = [value for value in chosen if answer(PLAIN, NUMBER["personality"], value) == ALLOW]
    assert allowed == [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]


def test_every_name_is_known_to_some_machine_and_is_there_once() -> None:
    """A misspelt name would be ignored in silence; riscv_hwprobe alone belongs to no table here."""
    known = {name for machine in ("x86_64", "i386", "aarch64") for name in numbers_of(machine)}
    known |= {name for members in MULTIPLEXED.values() for name in count(members)}
    names = [name for group in ALWAYS.values() for name in group.split()]
    assert len(names) == len(set(names))
    assert set(names) - known == {"riscv_hwprobe"}
    assert {name for calls in BY_CAPABILITY.values() for name in calls.split()} <= known


def test_the_profile_is_plain_json() -> None:
    """It is written to config.json unchanged."""
    profile = default_profile(["CAP_SYS_ADMIN"], "x86_64")
    assert json.loads(json.dumps(profile)) == profile
