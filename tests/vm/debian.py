"""A new Debian 13 in a directory, and commands in it: what a machine for the lecture begins with.

debootstrap(8) makes it; packages come from where this host gets its own. Commands run in a chroot with its own mounts
and processes: there is no systemd in it, and its kernel is this host's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace, own_network
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
SUITE = "trixie"
MINUTES = 60 * SLOWNESS
ENTER = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(Path(__file__).with_name("chroot.sh"))]
# The settings with which this host reaches its package registries; a lecturer's machine needs none.
OF_THIS_HOST = {
    "/etc/resolv.conf": "etc/resolv.conf",
    "/etc/pip.conf": "etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt": "certificates",
}
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PIP_CERT": "/certificates",
}


def mirror() -> str:
    """Return the source of this host's own Debian packages; see apt-get(8), indextargets."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return next(line for line in done.stdout.splitlines() if line.rstrip("/").endswith("/debian"))


def reach(url: str) -> None:
    """Skip the test if *url* cannot be reached: a new Debian needs the network."""
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/dists/{SUITE}/Release", timeout=MINUTES).close()  # noqa: S310
    except OSError as error:
        pytest.skip(f"no Debian from {url}: {error}")


def files() -> list[str]:
    """List the files of the checkout that git knows, and new ones that it does not ignore: no .venv, nothing built."""
    words = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout
    return listed.rstrip("\0").split("\0")


def copy_the_checkout(target: Path) -> None:
    """Copy the files of the checkout to *target*."""
    for name in files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)


@contextmanager
def new_debian(*packages: str) -> Iterator[Path]:
    """Give the root directory of a new Debian with *packages* too, with the checkout in /vagrant as Vagrant has it."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as folder:
        root = Path(folder)
        more = [f"--include={','.join(packages)}"] if packages else []
        words = ["unshare", "--mount", "debootstrap", "--variant=minbase", *more, SUITE, folder, mirror()]
        with own_network.of_the_machine():
            reach(mirror())
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20 * MINUTES)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        root.chmod(0o755)
        for file in filter(os.path.exists, OF_THIS_HOST):
            shutil.copy(file, root / OF_THIS_HOST[file])
        copy_the_checkout(root / "vagrant")
        yield root


def inside(root: Path, *words: str) -> str:
    """Run *words* in the machine with this *root*, and return their output; they must succeed."""
    environment = {**ENVIRONMENT, "TINYBOX_CGROUP_PARENT": no_trace.room()}
    done = subprocess.run([*ENTER, str(root), *words], stdout=-1, stderr=-2, text=True, check=False, env=environment,
                          stdin=-3, timeout=20 * MINUTES)  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout
