"""A user of this machine without root, with ranges of ids, for tests; the machine's own files are not changed.

Each command of this user runs in a mount namespace of its own, in which /etc/passwd, /etc/group, /etc/subuid and
/etc/subgid have one line more, and in which the user may use /dev/net/tun, and may reach this Python and this checkout.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

NAME, ID, FIRST, COUNT = "tinybox-student", 54321, 900_000, 65536
CHECKOUT = Path(__file__).parents[2]
TABLES = {
    "passwd": f"{NAME}:x:{ID}:{ID}::/:/bin/sh\n",
    "group": f"{NAME}:x:{ID}:\n",
    "subuid": f"{NAME}:{FIRST}:{COUNT}\n",
    "subgid": f"{NAME}:{FIRST}:{COUNT}\n",
}


class Student:
    """The user: call it with the arguments of `tinybox`. *home* has the store and the directory for what runs."""

    def __init__(self, home: Path) -> None:
        self.home, self.path = home, str(Path(sys.executable).with_name("tinybox"))
        self.live = home / "live"
        self.hidden: tuple[str, ...] = ()  # programs in /usr/bin that seem not to be installed
        self.has_fuse = False  # whether the user may use /dev/fuse, as udev(7) sets it
        self.group = ""  # a directory of a control group, in which each command starts; "" is that of the tests
        self.said = ""  # what the first command, which made the store, has said on stderr
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(self.live),
                            "TINYBOX_NETWORK": "none", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip

    def words(self, *words: str, tables: dict[str, str] | None = None) -> list[str]:
        """Return the command that runs *words* as this user; *tables* are other lines than TABLES, by the file."""
        lines = ["mkdir -p $1/etc"]
        for name, line in (TABLES | (tables or {})).items():
            lines += [f"{{ cat /etc/{name}; printf %s {shlex.quote(line)}; }} > $1/etc/{name}.$$"]
            lines += [f"mount --bind $1/etc/{name}.$$ /etc/{name}", f"rm $1/etc/{name}.$$"]
        for number, path in enumerate(dict.fromkeys((sys.base_prefix, str(CHECKOUT)))):
            if closed := closed_directory(path):
                lines += [f"mkdir -p $1/place{number}", f"mount --rbind {shlex.quote(path)} $1/place{number}"]
                lines += [f"mount -t tmpfs -o mode=711 tmpfs {shlex.quote(closed)}", f"mkdir -p {shlex.quote(path)}"]
                lines += [f"mount --rbind $1/place{number} {shlex.quote(path)}"]
        lines += [f"mount --bind /dev/null /usr/bin/{name}" for name in self.hidden]
        if self.group:
            lines.append(f"echo $$ > {self.group}/cgroup.procs")
        if self.has_fuse:
            lines.append("mount --bind $1/fuse /dev/fuse")
        lines += ["mount --bind $1/tun /dev/net/tun", "shift", 'exec "$@"']
        who = ["setpriv", "--reuid", str(ID), "--regid", str(ID), "--clear-groups", "--"]
        place = str(self.home.with_suffix(".root"))
        return [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            "\n".join(lines),
            "sh",
            place,
            *who,
            *words,
        ]

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``tinybox WORDS`` as this user; its pid is that of tinybox, because each program executes the next."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        tables, env = options.pop("tables", None), self.environment | options.pop("env", {})
        return subprocess.Popen(
            self.words(self.path, *words, tables=tables), text=True, cwd="/", env=env, **(pipes | options)
        )

    def __call__(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``tinybox WORDS`` as this user to its end."""
        with self.start(*words, **options) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(["tinybox", *words], process.returncode, out, err)

    def says(self, *words: str, **options: Any) -> str:
        """Run ``tinybox WORDS``, which must succeed and print no error, and return what it prints."""
        done = self(*words, **options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    def processes(self) -> dict[int, str]:
        """Return this user's processes that have not ended, by pid: each with its user namespace."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    path.stat().st_uid in (ID, *range(FIRST, FIRST + COUNT))
                    and "\nState:\tZ" not in (path / "status").read_text()
                ):
                    found[int(path.name)] = os.readlink(path / "ns/user")
            except OSError:
                continue
        return found


def closed_directory(path: str) -> str:
    """Return the topmost directory on the way to *path* into which other users may not go, or ""."""
    ways = [*reversed(Path(path).parents), Path(path)]
    return next((str(way) for way in ways if not way.stat().st_mode & 0o001), "")


@pytest.fixture(scope="session")
def student() -> Iterator[Student]:
    """Give a user without root whose store has the image busybox."""
    for program in ("newuidmap", "newgidmap", "slirp4netns"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing: make test-packages installs it (uidmap, slirp4netns)")
    with made() as user:
        yield user


@contextmanager
def made(
    dressed: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext(),
    *,
    has_fuse: bool = False,
) -> Iterator[Student]:
    """Make the user with a home, and with the image busybox in the store there; remove the home at the end.

    *dressed* mounts another file system on the home meanwhile.
    """
    home = Path(tempfile.mkdtemp(prefix="tinybox-student-", dir="/var/tmp"))
    try:
        with dressed(home):
            yield from _living(home, has_fuse=has_fuse)
    finally:
        shutil.rmtree(home)


def _living(home: Path, *, has_fuse: bool) -> Iterator[Student]:
    user, place = Student(home), home.with_suffix(".root")
    user.has_fuse = has_fuse
    try:
        for folder in (home, user.live):
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, ID, ID)
        place.mkdir()
        os.mknod(place / "tun", stat.S_IFCHR, os.makedev(10, 200))
        (place / "tun").chmod(0o666)  # as udev(7) sets it; a machine without udev has 600
        os.mknod(place / "fuse", stat.S_IFCHR, os.makedev(10, 229))
        (place / "fuse").chmod(0o666)
        done = user("pull", "busybox")
        assert done.returncode == 0, done.stderr
        user.said = done.stderr
        yield user
    finally:
        shutil.rmtree(place)
        for path in home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
