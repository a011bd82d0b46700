"""Bundles for the tests: a config.json as podman writes one, on a root directory with busybox in it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import TIMEOUT
from tests.support.boxes import new_name, until
from tinybox.isolation.cgroups.group import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CAPABILITIES = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT".split()
APPLETS = "sh cat ls id sleep echo mount stat touch hostname date nice mkdir test grep head true false od uname".split()

CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2-dev",
    "process": {
        "user": {"uid": 0, "gid": 0, "umask": 18},
        "args": ["true"],
        "cwd": "/",
        "env": ["PATH=/bin"],
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
    },
    "root": {"path": "rootfs"},
    "hostname": "bundle",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
    },
}


class Bundle:
    """A bundle in the directory *path*, with a *config* to be changed before it is run."""

    def __init__(self, path: Path) -> None:
        self.path, self.config = path, copy.deepcopy(CONFIG)
        self.root = path / "rootfs"
        self.linux["cgroupsPath"] = f"/{place(new_name())}"
        for folder in ("bin", "proc", "dev", "sys", "tmp", "etc"):
            (self.root / folder).mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            pytest.skip("there is no busybox here")
        shutil.copy(busybox, self.root / "bin/busybox")
        for name in APPLETS:
            (self.root / "bin" / name).symlink_to("busybox")
        self.name = new_name()

    @property
    def process(self) -> dict[str, Any]:
        """The config's ``process``."""
        process: dict[str, Any] = self.config["process"]
        return process

    @property
    def linux(self) -> dict[str, Any]:
        """The config's ``linux``."""
        linux: dict[str, Any] = self.config["linux"]
        return linux

    def mount(self, destination: str, kind: str, *options: str, source: str = "", **more: object) -> None:
        """Add a mount to the config, after the others."""
        entry = {"destination": destination, "type": kind, "source": source or kind, "options": [*options], **more}
        self.config["mounts"].append(entry)

    def run(self, *script: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
        """Run *script*, lines for sh, in the bundle; without a script run the config's own program."""
        if script:
            self.process["args"] = ["sh", "-c", "\n".join(script)]
        self.save()
        return self.oci("run", "--bundle", str(self.path), self.name, timeout=timeout)

    def save(self) -> None:
        """Write the config.json."""
        (self.path / "config.json").write_text(json.dumps(self.config))

    def status(self) -> str:
        """Return the container's status, as `state` prints it."""
        status: str = json.loads(self.oci("state", self.name).stdout)["status"]
        return status

    def until(self, true: Callable[[], object]) -> None:
        """Wait until *true* returns something true."""
        until(true)

    def wait_for(self, status: str) -> None:
        """Wait until the container has this status."""
        until(lambda: self.status() == status)

    def oci(self, *words: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
        """Run ``tinybox-oci WORDS`` on a state directory of this bundle's own."""
        command = [str(Path(sys.executable).with_name("tinybox-oci")), "--root", str(self.path / "state"), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
        )

    def create(self, *script: str) -> None:
        """Create the container of *script*, with files as its streams; it must succeed, and `close` deletes it."""
        if script:
            self.process["args"] = ["sh", "-c", "\n".join(script)]
        self.save()
        with (self.path / "out").open("w") as out, (self.path / "err").open("w") as err:
            command = [str(Path(sys.executable).with_name("tinybox-oci")), "--root", str(self.path / "state"), "create"]
            done = subprocess.run(
                [*command, "--bundle", str(self.path), self.name],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False, timeout=TIMEOUT,
            )  # fmt: skip
        assert done.returncode == 0, (self.path / "err").read_text()

    def close(self) -> None:
        """Delete the container if it is there, and reap its first process, which is an orphan after `create`."""
        self.oci("delete", "--force", self.name)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def in_mounts_of_its_own(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run *script*, whose $0 is tinybox-oci, in a mount namespace of its own: its mounts end with it."""
        self.save()
        words = ["unshare", "-m", "sh", "-c", script, str(Path(sys.executable).with_name("tinybox-oci"))]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL
        )

    def says(self, *script: str) -> str:
        """Return what *script* prints in the bundle; it must succeed and print nothing on stderr."""
        done = self.run(*script)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    def refused(self, *parts: str) -> str:
        """Assert that the bundle is refused, in one line that contains all *parts*, and return that line."""
        done = self.run()
        assert (done.returncode, done.stdout) == (125, ""), done
        assert len(done.stderr.splitlines()) == 1, done
        for part in parts:
            assert part in done.stderr, done.stderr
        return done.stderr


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    """Give a bundle that runs without changes; afterwards delete its container."""
    made = Bundle(tmp_path / "bundle")
    yield made
    made.close()
