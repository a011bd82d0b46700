"""Find out, when a store is made, whether the kernel refuses an overlay whose upper directory is in it.

It does so on another overlay, on NFS, on file systems of FUSE and on FAT; see "Upper and lower layers" in the kernel's
documentation of overlayfs. A promise is not enough, so one is mounted, in a child process whose mounts end with it. The
answer belongs to the store, because the marks in its layers depend on it; see overlay_marks.py.
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.errors import HostError, report
from tinybox.linux import mount, process, user_namespaces
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files, overlay_marks
from tinybox.linux.filesystem.locks import make_locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FILE = "storage-driver"  # in the store: the error of the kernel, for users
MARK = stat.S_ISVTX  # of the directory of layers in such a store: every command looks at that directory anyway
PROGRAM, FUSE, COPIES = "fuse-overlayfs", "/dev/fuse", "vfs"  # vfs is podman's word for copied layers
_PROGRAMS = [f"{folder}/{PROGRAM}" for folder in ("/usr/bin", "/usr/local/bin", "/bin")]
_NOT_TRIED = 255  # the status of a child that could not try
_NAMES = ("lower", "upper", "work", "merged")


def examine(root: str) -> int:
    """Return the mode bit of the directory of layers that says that overlays are refused in *root*, or 0; see mount(2).

    If they are, one line on stderr says so, this process knows it from now on, and FILE is written. Only root can try,
    also that of a user namespace. OSError: the store cannot be written.
    """
    refusal = _refusal(root) if os.geteuid() == 0 else 0
    if not refusal:
        return 0
    overlay_marks.refused = True
    name = errno.errorcode.get(refusal, str(refusal))
    facts = {"refused": name, "release": os.uname().release, "device": os.stat(root).st_dev}
    files.replace(f"{root}/{FILE}", json.dumps(facts).encode(), 0o644)
    report(HostError(f"store {root}", f"its file system refuses an overlay ({name}): {in_place_of_it()}"))
    return MARK


def in_place_of_it() -> str:
    """Return what the next box in such a store gets in place of the kernel's overlay, and why; see fuse(4)."""
    cause, cure = fuse_missing()
    return f"layers are copied, because {cause} ({cure})" if cause else f"{PROGRAM} is used"


def driver() -> str:
    """Return the name of what makes the root of the next box in the store, as `info` shows it; see fuse(4)."""
    return "overlay" if not overlay_marks.refused else COPIES if fuse_missing()[0] else PROGRAM


def fuse_program() -> str:
    """Return the path of fuse-overlayfs(1), "" if it is not installed."""
    return next((path for path in _PROGRAMS if os.access(path, os.X_OK)), "")


def fuse_missing() -> tuple[str, str]:
    """Return why this user cannot have such an overlay, and the cure; ("", "") if nothing is missing; fuse(4)."""
    if not fuse_program():
        return f"{PROGRAM} is not installed", f"apt install {PROGRAM}"
    try:
        os.close(os.open(FUSE, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"{FUSE}: no such file", "modprobe fuse, as root of the host"
    except OSError as error:
        return f"{FUSE}: {error.strerror}", f"chmod 666 {FUSE}, as udev(7) sets it, as root of the host"
    return "", ""


def reason(root: str) -> str:
    """Return the name of the error by which overlays are refused in the store *root*, such as EINVAL; see mount(2).

    "": they work.
    """
    try:
        with open(f"{root}/{FILE}", encoding="utf-8") as file:
            return str(json.loads(file.read()).get("refused", "unknown"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError):
        return "unknown"


def _refusal(root: str) -> int:
    """Return the errno of mount(2), or 0; in ROOT/tmp, which a later command sweeps if this one is killed."""
    folder = f"{root}/tmp/overlay-{os.urandom(8).hex()}"
    lock = make_locked(folder)
    try:
        for name in _NAMES:
            os.mkdir(f"{folder}/{name}")
        pid = os.fork()
        if pid == 0:
            _try(folder)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return 0 if status in (0, _NOT_TRIED) or status < 0 else status
    finally:
        files.remove_tree(folder)
        os.close(lock)


def _try(folder: str) -> NoReturn:
    """Mount an overlay in the *folder*, and exit with the errno, see mount(2); this is the child."""
    status = _NOT_TRIED
    try:
        process.unshare(process.CLONE_NEWNS)
        mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_PRIVATE)
        os.chdir(folder)
        marks = ",userxattr" if user_namespaces.is_rootless() else ""
        data = f"lowerdir=lower,upperdir=upper,workdir=work{marks}".encode()
        try:
            mount.mount(b"overlay", b"merged", b"overlay", 0, data)
            status = 0
        except OSError as error:
            status = error.errno or _NOT_TRIED
    finally:
        os._exit(status)
