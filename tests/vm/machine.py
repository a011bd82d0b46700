"""A virtual machine with only cgroup v2, for one command: qemu, this host's own root read-only, some memory.

    python -m tests.vm.machine [--timeout SECONDS] [--root DIR] COMMAND...

DIR is another root, made by tests.vm.foreign, and may be of another architecture. The command runs as root, with this
host's files at their paths; its changes end with the machine. On the host a machine is one process, with unnamed
files, which the kernel kills when its parent dies.
"""

from __future__ import annotations

import argparse
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tests.vm.kernel import BUSYBOX, MachineError, MachineTimeoutError, fetch, initramfs, kernel_in
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
HOST = Path("/")  # the root of this host
KERNEL = HERE.parents[1] / "build/vm/kernel"
DISK = 4 << 30  # bytes; a sparse file without a name, as ext4
PORTS = ("output", "report", "status")  # the output of the machine, each by a virtio-serial port of this name
TIMED_OUT, DIED = 124, 125  # exit statuses: that of timeout(1), and this module's own

UNCOVER = """
if [ ! -d "$folder" ]; then
    mkdir -p "$folder"
    mount --bind "/run/machine/covered${folder#/var/tmp}" "$folder"
fi
cd "$folder" || exit
"""


class Hardware(NamedTuple):
    """The machine that qemu emulates: program and package, board, a processor that is fast to emulate, the console."""

    qemu: str
    package: str
    board: str
    cpu: str
    console: str


HARDWARE = {
    "x86_64": Hardware("qemu-system-x86_64", "qemu-system-x86", "q35", "Nehalem", "ttyS0"),
    "aarch64": Hardware("qemu-system-aarch64", "qemu-system-arm", "virt,gic-version=3", "cortex-a72", "ttyAMA0"),
}
MACHINES = {62: "x86_64", 183: "aarch64"}  # e_machine of elf(5)
QEMU = HARDWARE[os.uname().machine].qemu


class Ending(NamedTuple):
    """How a command ended in the machine."""

    status: int
    report: bytes  # the content of /run/machine/report


def hardware_of(root: Path) -> Hardware:
    """Return the kind of machine for the programs of *root*: this host's, or that of its busybox; see elf(5)."""
    if root == HOST:
        return HARDWARE[os.uname().machine]
    return HARDWARE[MACHINES[int.from_bytes((root / BUSYBOX[1:]).read_bytes()[18:20], "little")]]


def accelerator(cpu: str) -> list[str]:
    """Choose KVM if the processor has it (a /dev/kvm alone may not work), otherwise emulate *cpu*, 20 times slower.

    Emulated processors take turns in one thread: with a thread each, synchronizing them takes twice the time.
    """
    known = {"vmx", "svm"} & set(Path("/proc/cpuinfo").read_text().split())
    if cpu == HARDWARE["x86_64"].cpu and known and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=single", "-cpu", cpu]


def unnamed(content: bytes = b"") -> IO[bytes]:
    """Return an unnamed file with *content*: it is freed with its last user; see O_TMPFILE in open(2)."""
    file = tempfile.TemporaryFile(dir="/var/tmp", buffering=0)  # noqa: SIM115  the caller enters it
    file.write(content)
    return file


def format_disk(file: IO[bytes]) -> None:
    """Make an empty file system in *file*; see mke2fs(8)."""
    file.truncate(DISK)
    quick = ("-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *quick, path(file)], check=True, pass_fds=[file.fileno()])


def path(file: IO[bytes]) -> str:
    """Return the path by which a child that inherits *file* opens it; see proc_pid_fd(5)."""
    return f"/dev/fd/{file.fileno()}"


def arguments(root: Path, image: Path, archive: str, scratch: str, console: str, ports: dict[str, str]) -> list[str]:
    """Return the command line of qemu, with all files by their paths; see qemu-system-x86_64(1)."""
    hardware = hardware_of(root)
    devices = ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
    for name, end in ports.items():
        devices += ["-chardev", f"file,id={name},path={end}"]
        devices += ["-device", f"virtserialport,chardev={name},name={name}"]
    return [
        hardware.qemu, "-M", hardware.board, *accelerator(hardware.cpu), "-smp", "2", "-m", "2G",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", str(image), "-initrd", archive,
        "-append", f"console={hardware.console} quiet panic=-1 mitigations=off",
        "-serial", f"file:{console}",
        "-virtfs", f"local,path={root},mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        "-drive", f"file={scratch},if=none,id=scratch,format=raw,cache=unsafe",
        "-device", "virtio-blk-pci,drive=scratch",
        *devices,
    ]  # fmt: skip


def script(command: list[str], folder: str, environment: dict[str, str]) -> bytes:
    """Return *command* as a script for the machine's shell, in *folder* with *environment*.

    The machine's own disk covers /var/tmp: a folder there is mounted again from the host.
    """
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines = [f"folder={shlex.quote(folder)}", UNCOVER, *exports, f"exec {shlex.join(command)}", ""]
    return os.fsencode("\n".join(lines))


def run(
    command: list[str], output: IO[bytes], timeout: float, environment: dict[str, str], root: Path = HOST
) -> Ending:
    """Boot a machine, run *command* in it, in the current directory; pass its output on to *output* as it comes.

    Raise MachineError if there is no qemu, if the machine died without a report, and after *timeout* seconds.
    """
    hardware = hardware_of(root)
    if not shutil.which(hardware.qemu):
        raise MachineError(f"{hardware.qemu} is missing (Debian: apt-get install {hardware.package})")
    kernel = fetch(KERNEL) if root == HOST else kernel_in(root)
    told = script(command, os.getcwd(), environment)
    with ExitStack() as stack:
        archive = stack.enter_context(unnamed(initramfs(kernel, (HERE / "init.sh").read_bytes(), told, root)))
        console, scratch = stack.enter_context(unnamed()), stack.enter_context(unnamed())
        format_disk(scratch)
        readers, writers = pipes(stack)
        ports = {name: path(writer) for name, writer in writers.items()}
        words = arguments(root, kernel.image, path(archive), path(scratch), path(console), ports)
        with started(words, [archive, scratch, console, *writers.values()]):
            for writer in writers.values():
                writer.close()
            said = listen(readers, output, time.monotonic() + timeout)
        if not said["status"].strip():
            raise MachineError(f"the machine ended without a status; its console:\n{last_words(console)}")
        return Ending(int(said["status"]), bytes(said["report"]))


def pipes(stack: ExitStack) -> tuple[dict[str, FileIO], dict[str, FileIO]]:
    """Return both ends of a pipe for each of the PORTS, to be closed by *stack*."""
    ends = {name: os.pipe() for name in PORTS}
    readers = {name: stack.enter_context(FileIO(end[0])) for name, end in ends.items()}
    writers = {name: stack.enter_context(FileIO(end[1], "w")) for name, end in ends.items()}
    return readers, writers


@contextmanager
def started(command: list[str], files: list[IO[bytes]]) -> Iterator[None]:
    """Start qemu with *files* open; setpriv(1) makes the kernel kill it when this process dies; end it afterwards."""
    mortal = ["setpriv", "--pdeathsig", "KILL", *command]
    with subprocess.Popen(mortal, pass_fds=[file.fileno() for file in files], stdin=subprocess.DEVNULL) as qemu:
        try:
            yield
        finally:
            qemu.kill()


def listen(readers: dict[str, FileIO], output: IO[bytes], deadline: float) -> dict[str, bytearray]:
    """Read all ports until the machine is gone, passing on its output; return the content of the others."""
    said = {name: bytearray() for name in readers}
    with selectors.DefaultSelector() as selector:
        for name, reader in readers.items():
            selector.register(reader, selectors.EVENT_READ, name)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left < 0:
                raise MachineTimeoutError("not done in time")
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data == "output":
                    output.write(data)
                    output.flush()
                else:
                    said[key.data] += data
    return said


def last_words(console: IO[bytes]) -> str:
    """Return the end of what the kernel wrote on its serial *console*."""
    console.seek(0)
    return "\n".join(console.read().decode(errors="replace").splitlines()[-20:])


def main() -> int:
    """Run the command line; return the command's status, 124 after the timeout, 125 if there is no machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
    parser.add_argument("--root", type=Path, default=HOST, metavar="DIR")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    words = parser.parse_args()
    process.set_parent_death_signal(signal.SIGKILL)  # the caller is make or the shell
    try:
        root = words.root.resolve()
        ending = run(words.command, sys.stdout.buffer, words.timeout, {"PATH": os.environ["PATH"]}, root)
    except MachineError as error:
        print(f"machine: {error}", file=sys.stderr)
        return TIMED_OUT if isinstance(error, MachineTimeoutError) else DIED
    sys.stdout.buffer.write(ending.report)
    return ending.status


if __name__ == "__main__":
    sys.exit(main())
