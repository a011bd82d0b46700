"""The command line of qemu for a root of this host's architecture, or of another one, and the initramfs from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vm import kernel, machine

E_MACHINE = {"x86_64": 62, "aarch64": 183}  # elf(5)


def root_for(name: str, folder: Path) -> Path:
    """Make a root in *folder* with only a kernel, one module, and the head of a busybox."""
    for place in ("bin", "boot", "lib/modules/6.1"):
        (folder / place).mkdir(parents=True)
    (folder / "bin/busybox").write_bytes(b"\x7fELF".ljust(18, b"\0") + E_MACHINE[name].to_bytes(2, "little"))
    (folder / "boot/vmlinuz-6.1").write_bytes(b"")
    (folder / "lib/modules/6.1/modules.dep").write_text("overlay.ko:\n")
    (folder / "lib/modules/6.1/overlay.ko").write_bytes(b"module")
    return folder


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x86_64", ["qemu-system-x86_64", "q35", "Nehalem", "console=ttyS0"]),
        ("aarch64", ["qemu-system-aarch64", "virt,gic-version=3", "cortex-a72", "console=ttyAMA0"]),
    ],
)
def test_a_root_has_the_machine_that_can_run_it(name: str, told: list[str], tmp_path: Path) -> None:
    """Its busybox shows the architecture: program, board, processor, console and shared folder follow from that."""
    root = root_for(name, tmp_path)
    words = machine.arguments(root, Path("vmlinuz"), "initramfs", "disk", "console", {})
    emulated = [word for word in told if word != "Nehalem" or "kvm" not in words]
    assert set(emulated) <= {word.partition(" ")[0] for word in words}
    assert f"path={root}," in words[words.index("-virtfs") + 1]


def test_this_host_has_a_machine_of_its_own_kind() -> None:
    """Without a root it is this host's, with this host's processor; no file is read for that."""
    assert machine.hardware_of(machine.HOST) == machine.HARDWARE[os.uname().machine]


def test_the_initramfs_is_made_of_the_root(tmp_path: Path) -> None:
    """Busybox and modules come from there; the modules' folder has its name in the machine."""
    root = root_for("aarch64", tmp_path)
    archive = kernel.initramfs(kernel.kernel_in(root), b"init", b"command", root)
    assert (root / "bin/busybox").read_bytes() in archive
    assert b"/lib/modules/6.1" in archive
    assert b"/lib/overlay.ko\n" in archive
    assert os.fsencode(root) not in archive
