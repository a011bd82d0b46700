"""A Vagrant box for libvirt, made of a new Debian: an archive of a disk, a kernel, a Vagrantfile and a start of qemu.

The disk is one ext4 without partitions, and libvirt starts the kernel itself: making it needs neither a loop device nor
a boot loader. The format is that of vagrant-libvirt's own boxes: metadata.json, box.img (qcow2), Vagrantfile.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support import own_network
from tests.vm.debian import OF_THIS_HOST, inside
from tests.vm.kernel import output

HERE = Path(__file__).parent
DISK = 8  # GiB; a sparse file
PACKAGES = """
    dbus initramfs-tools iproute2 kmod libpam-systemd linux-image-cloud-amd64 openssh-server procps rsync sudo
    systemd-sysv udev zstd
""".split()


def public_key() -> str:
    """Return the well-known public key of Vagrant's own boxes, from Debian's package."""
    listed = output("dpkg-query", "--listfiles", "vagrant").splitlines()
    return Path(next(name for name in listed if name.endswith("/keys/vagrant.pub"))).read_text().strip()


def furnish(root: Path) -> None:
    """Make the new Debian in *root* a box with a user vagrant, provisioned; its /vagrant is empty then."""
    with own_network.of_the_machine():
        inside(root, "/vagrant/tests/vm/box_setup.sh", public_key())
    for name in OF_THIS_HOST.values():
        (root / name).unlink(missing_ok=True)
    shutil.rmtree(root / "vagrant")
    (root / "vagrant").mkdir()
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()


def pack(root: Path, folder: Path) -> Path:
    """Make *folder*/tinybox.box of the Debian in *root*, and return its path; see mke2fs(8), qemu-img(1)."""
    raw, parts = folder / "raw", folder / "parts"
    parts.mkdir()
    with raw.open("wb") as disk:
        disk.truncate(DISK << 30)
    output("mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", str(root), str(raw))
    output("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(parts / "box.img"))
    raw.unlink()
    for name in ("vmlinuz", "initrd.img"):
        (file,) = (root / "boot").glob(f"{name}-*")
        shutil.copyfile(file, parts / name)
    shutil.copy(HERE / "box.rb", parts / "Vagrantfile")
    shutil.copy(HERE / "qemu.sh", parts)
    (parts / "metadata.json").write_text(json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": DISK}))
    output("tar", "--create", "--file", str(folder / "tinybox.box"), "--directory", str(parts), ".")
    shutil.rmtree(parts)
    return folder / "tinybox.box"
