"""A root directory for a machine of another architecture: Debian's packages, unpacked, with this checkout in it.

    python -m tests.vm.foreign ARCHITECTURE DIR

apt-get gets a system of its own below DIR/apt (lists, cache, nothing installed), so this host's does not change; no
program of the packages is run. Run again, it only updates the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.vm.kernel import output
from tinybox.images.store import ARCHITECTURES

PACKAGES = """
    base-files base-passwd bash busybox-static coreutils curl dash diffutils e2fsprogs findutils grep hostname
    iproute2 libc-bin linux-libc-dev login mawk mount nftables passwd procps python3 sed strace tar util-linux
    util-linux-extra zstd
""".split()
APT = """
APT::Architecture "{0}";
APT::Architectures {{ "{0}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{1}";
Dir::State::status "{1}/status";
Dir::Cache "{1}";
"""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
MANYLINUX = ("2014", "_2_17", "_2_28")
CHECKOUT = Path(__file__).parents[2]


def fetch(architecture: str, root: Path) -> None:
    """Unpack PACKAGES, their dependencies, and a kernel below *root*; see apt-get(8), dpkg-deb(1)."""
    own = root / "apt"
    for name in ("lists/partial", "archives/partial"):
        (own / name).mkdir(parents=True)
    (own / "status").touch()
    (own / "conf").write_text(APT.format(architecture, own))
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    os.environ["APT_CONFIG"] = str(own / "conf")
    output("apt-get", "-qq", "update")
    output("apt-get", "-qq", "-y", "--download-only", "install", *PACKAGES)
    kernel = output("apt-cache", "depends", f"linux-image-{architecture}").partition("Depends: ")[2].split()[0]
    output("apt-get", "-qq", "download", kernel, folder=own / "archives")
    for package in sorted((own / "archives").glob("*.deb")):
        unpack = f"dpkg-deb --fsys-tarfile {package} | tar -x -C {root} --keep-directory-symlink"
        output("sh", "-c", unpack)
    (modules,) = (root / "lib/modules").iterdir()
    output("busybox", "depmod", "-b", str(root), modules.name)


def settle(root: Path) -> None:
    """Make the files that the packages' scripts would have made; see base-passwd's passwd.master, and hosts(5)."""
    for name in ("passwd", "group"):
        text = (root / f"usr/share/base-passwd/{name}.master").read_text()
        (root / "etc" / name).write_text(text.replace(":*:", ":x:"))
    (root / "etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost machine\n")
    (root / "etc/resolv.conf").touch()
    if not (root / "usr/bin/awk").is_symlink():
        (root / "usr/bin/awk").symlink_to("mawk")


def python_of(root: Path) -> tuple[str, Path]:
    """Return the version of Debian's Python in *root*, and its folder for packages that are not from Debian."""
    (library,) = (root / "usr/lib").glob("python3.*")
    return library.name.removeprefix("python"), root / "usr/local/lib" / library.name / "dist-packages"


def install(architecture: str, root: Path) -> None:
    """Make pip install the packages of this Python into *root*, in their version for *architecture*."""
    version, packages = python_of(root)
    names = output(*PIP, "freeze", "--exclude-editable", "--exclude", "mypy", "--exclude", "ruff").split()
    machine = {deb: name for name, deb in ARCHITECTURES.items()}[architecture]
    platforms = [word for kind in MANYLINUX for word in ("--platform", f"manylinux{kind}_{machine}")]
    given = ["--no-deps", "--only-binary", ":all:", "--python-version", version, *platforms]
    output(*PIP, "install", "-qq", "--target", str(packages), *given, *names)
    (packages / "tinybox.pth").write_text(f"{CHECKOUT}\n")


def bring(root: Path) -> None:
    """Copy the checkout to its own path, and tinybox's commands, and compile the modules the machine will import."""
    for name in filter(None, output("git", "ls-files", "-z", folder=CHECKOUT).split("\0")):
        (root / CHECKOUT.relative_to("/") / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, root / CHECKOUT.relative_to("/") / name, follow_symlinks=False)
    version, packages = python_of(root)
    for name in ("tinybox", "tinybox-oci"):
        script = Path(sys.executable).with_name(name).read_text().partition("\n")[2]
        (root / "usr/bin" / name).write_text("#!/usr/bin/python3\n" + script)
        (root / "usr/bin" / name).chmod(0o755)
    if version == "{}.{}".format(*sys.version_info):  # otherwise the machine compiles, 20 times slower
        places = map(str, (root / f"usr/lib/python{version}", packages, root / CHECKOUT.relative_to("/")))
        compiled = ["-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
        subprocess.run([sys.executable, *compiled, *places], check=False)  # some files of packages are not valid Python


def main() -> None:
    """Run the command line."""
    architecture, root = sys.argv[1], Path(sys.argv[2]).resolve()
    if not (root / "etc/passwd").exists():
        fetch(architecture, root)
        install(architecture, root)
        settle(root)
    bring(root)


if __name__ == "__main__":
    main()
