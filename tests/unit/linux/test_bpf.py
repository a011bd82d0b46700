"""The device filter's program, checked without a kernel: by its bytes, and by an interpreter of the test's own."""

from __future__ import annotations

import ctypes
import operator
import struct
from typing import Any

import pytest

from tinybox.isolation.cgroups.device_filter import ACCESS, program
from tinybox.isolation.cgroups.device_rules import DEFAULT_DEVICES, TYPE
from tinybox.linux import bpf

DENY_ALL: dict[str, Any] = {"allow": False, "access": "rwm"}
NULL, DISK = ("c", 1, 3), ("b", 8, 0)
Device = tuple[str, int, int]


def run(code: bytes, device: Device, access: str) -> int:
    """Run *code* as the kernel would, for a process that requests *access* to *device*; return its result."""
    kind, major, minor = device
    asked = sum(ACCESS[letter] for letter in access) << 16 | TYPE[kind]
    context = struct.pack("=III", asked, major, minor)
    registers, place = [0] * 11, 0
    jumps = {bpf.BPF_JEQ32: operator.eq, bpf.BPF_JNE32: operator.ne, bpf.BPF_JSET32: operator.and_}
    while True:
        operation, both, offset, immediate = struct.unpack_from("=BBhi", code, 8 * place)
        dst, place = both & 15, place + 1
        if operation == bpf.BPF_EXIT:
            return registers[0]
        if operation == bpf.BPF_LDX_W:
            (registers[dst],) = struct.unpack_from("=I", context, offset)
        elif operation == bpf.BPF_AND32:
            registers[dst] &= immediate & 0xFFFFFFFF
        elif operation == bpf.BPF_RSH32:
            registers[dst] >>= immediate
        elif operation == bpf.BPF_MOV64:
            registers[dst] = immediate
        elif jumps[operation](registers[dst], immediate):
            place += offset


def test_an_instruction_is_eight_bytes_in_the_kernels_order() -> None:
    """Code, registers (source in the upper half), offset and number, as in struct bpf_insn."""
    assert bpf.instruction(bpf.BPF_LDX_W, dst=4, src=1, offset=8) == b"\x61\x14\x08\x00\x00\x00\x00\x00"
    assert bpf.instruction(bpf.BPF_AND32, dst=2, immediate=~6) == b"\x54\x02\x00\x00\xf9\xff\xff\xff"


def test_the_kernels_structures_have_their_sizes() -> None:
    """The used parts of union bpf_attr end where the kernel's header says."""
    assert ctypes.sizeof(bpf.LoadAttr) == 40
    assert bpf.LoadAttr.license.offset == 16
    assert ctypes.sizeof(bpf.AttachAttr) == 16


def test_a_jump_counts_from_the_next_instruction() -> None:
    """A label becomes a distance."""
    code = bpf.Assembler()
    code.add(bpf.BPF_JEQ32, to="end")
    code.add(bpf.BPF_EXIT)
    code.label("end")
    code.add(bpf.BPF_EXIT)
    assert struct.unpack_from("=BBhi", code.assemble())[2] == 1


@pytest.mark.parametrize(
    ("device", "access", "answer"),
    [
        (NULL, "rw", 1),
        (NULL, "", 1),  # access(2) with F_OK requests nothing, of an allowed device
        (("c", 136, 77), "rw", 1),
        (("c", 1, 11), "r", 0),  # /dev/kmsg
        (("c", 1, 11), "m", 1),
        (DISK, "m", 1),
        (DISK, "r", 0),
        (DISK, "rm", 0),
        (("b", 1, 3), "r", 0),  # the numbers of /dev/null, but a block device
    ],
)
def test_the_default_list_allows_harmless_devices_and_all_mknod(device: Device, access: str, answer: int) -> None:
    """Any device file may be made; only harmless devices may be used."""
    assert run(program(DEFAULT_DEVICES), device, access) == answer


@pytest.mark.parametrize(
    ("rules", "access", "answer"),
    [
        ([], "r", 0),
        ([{"allow": True, "access": "rwm"}], "rw", 1),
        ([{"allow": True, "access": "rwm"}, {**DENY_ALL, "type": "b"}], "r", 0),  # the later rule wins
        ([DENY_ALL, {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"}], "rw", 0),
        ([DENY_ALL, {"allow": True, "type": "b", "major": 8, "minor": -1, "access": "rw"}], "rw", 1),
        (  # two rules, each for one access, allow both together
            [
                DENY_ALL,
                {"allow": True, "type": "b", "major": 8, "access": "r"},
                {"allow": True, "type": "b", "minor": 0, "access": "w"},
            ],
            "rw",
            1,
        ),
        (  # a later refusal of one access refuses both
            [{"allow": True, "access": "rwm"}, {"allow": False, "type": "b", "major": 8, "access": "w"}],
            "rw",
            0,
        ),
    ],
)
def test_rules_apply_in_their_order(rules: list[dict[str, Any]], access: str, answer: int) -> None:
    """For each access the last rule that names it decides, and an access without a rule is refused."""
    assert run(program(rules), DISK, access) == answer


def test_a_program_without_an_allowing_rule_has_no_dead_code() -> None:
    """The verifier refuses unreachable instructions, so the result 1 is left out if no rule gives it."""
    moves = [code for code, *_ in struct.iter_unpack("=BBhi", program([DENY_ALL])) if code == bpf.BPF_MOV64]
    assert len(moves) == 1
