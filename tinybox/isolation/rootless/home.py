"""The home of a user without root: one user namespace, in which all commands and boxes of this user are root.

Id 0 of the home is the user, and the ids after it are those that /etc/subuid and /etc/subgid give this user;
newuidmap(1) and newgidmap(1), which are setuid programs, write these maps. Without them id 0 is the only one.

setns(2), kill(2) and ptrace(2) need rights over the user namespace of a box: so all commands share one home while one
of them lives. No process is there for that alone. Each process of tinybox in the home holds a lock on RUN/.home
(fcntl(2), F_SETLK), which ends with the process, also by SIGKILL. A new command asks the kernel which process holds it
(F_GETLK), and joins its user namespace; if there is none, it makes a new home. See docs/adr/0034-rootless.md.
"""

from __future__ import annotations

import fcntl
import os
import sys

from tinybox.errors import HostError
from tinybox.isolation.cgroups import delegation
from tinybox.linux import process, user_namespaces
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Range = tuple[int, int]  # the first id on the host, and how many

FILE = ".home"  # in the run directory, where no container has a name that begins with a dot
# What may forbid user namespaces to users without root: a switch of the kernel, its value then, and one that permits.
SWITCHES = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu: all programs without an AppArmor profile
    ("kernel.unprivileged_userns_clone", "0", "1"),  # Debian
    ("user.max_user_namespaces", "0", "15000"),
)
_PROGRAMS = ("/usr/bin", "/bin", "/usr/local/bin")  # setuid programs: never from the user's PATH
_F_GETLK, _F_RDLCK, _F_WRLCK, _F_UNLCK = 5, 0, 1, 2


def ranges(text: str, name: str, number: int) -> list[Range]:
    """Return the ranges that the *text* of /etc/subuid or /etc/subgid gives the user *name* or *number*; subuid(5)."""
    found = []
    for line in text.splitlines():
        owner, _, numbers = line.strip().partition(":")
        first, _, count = numbers.partition(":")
        if owner in (name, str(number)) and first.isdecimal() and count.isdecimal() and int(count):
            found.append((int(first), int(count)))
    return found


def id_map(own: int, given: Sequence[Range]) -> list[str]:
    """Return the words of a map for newuidmap(1): id 0 is *own*, and the *given* ranges follow, one after another."""
    words, inside = ["0", str(own), "1"], 1
    for first, count in given:
        words += [str(inside), str(first), str(count)]
        inside += count
    return words


def given(uid: int) -> tuple[int, int]:
    """Return how many ids /etc/subuid and /etc/subgid give the user *uid*; subuid(5)."""
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return 0, 0
    uids, gids = (ranges(_text(f"/etc/{table}"), name, uid) for table in ("subuid", "subgid"))
    return sum(count for _, count in uids), sum(count for _, count in gids)


def enter(folder: str) -> str:
    """Join the home of this user, or make it; then take a mount namespace for this process alone; see setns(2).

    *folder* is the run directory. This process must have one thread. In general it executes a program next: ptrace(2)
    and /proc ask for rights over the user namespace in which the memory of a process was made, by execve(2). Return why
    a new home has no other id than 0, or "". HostError: the kernel permits no user
    namespaces, or none with rights: see SWITCHES.
    """
    with Lock(os.path.join(folder, f"{FILE}.lock")):
        user_namespaces.home = os.open(os.path.join(folder, FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        is_new = not _join(user_namespaces.home)
        delegation.settle(folder, new=is_new)
        lack = _make() if is_new else ""
        user_namespaces.hold_home()
    try:
        process.unshare(process.CLONE_NEWNS)  # so a command sees the mounts of now, and leaves none
    except OSError as error:  # AppArmor lets a program make a user namespace, and denies it all rights in there
        raise HostError("rootless", f"no mount namespace can be made: {error.strerror}", cure()) from error
    return lack


def holder(fd: int, byte: int) -> int:
    """Return the pid of a process that holds a lock on this *byte* of *fd*; 0 if there is none; F_GETLK in fcntl(2)."""
    native = sys.byteorder
    # struct flock: l_type, l_whence, l_start, l_len, l_pid, each at a multiple of its size
    asked = _F_WRLCK.to_bytes(8, native) + byte.to_bytes(8, native) + (1).to_bytes(8, native) + bytes(8)
    answer = fcntl.fcntl(fd, _F_GETLK, asked)
    return 0 if int.from_bytes(answer[:2], native) == _F_UNLCK else int.from_bytes(answer[24:28], native, signed=True)


def join(fd: int, byte: int, pid: int, kind: int) -> bool:
    """Join the namespace of this *kind* (CLONE_NEW*) of process *pid*; return False if it has ended; see setns(2).

    The holder may end at any moment, but as long as this process has the other lock, none can begin to hold this one:
    so a process that holds it before and after pidfd_open(2) is that of the pidfd.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if holder(fd, byte) != pid:
            return False
        process.setns(pidfd, kind)
    except ProcessLookupError:  # it has just ended
        return False
    except OSError as error:
        cause = f"a namespace of process {pid} cannot be joined: {error.strerror}"
        raise HostError("rootless", cause, "end the boxes of this user first") from error
    finally:
        os.close(pidfd)
    return True


def _join(fd: int) -> bool:
    """Join the user namespace of a process that holds the lock *fd*; return False if no process does."""
    while (pid := holder(fd, user_namespaces.HOME)) > 0:
        if join(fd, user_namespaces.HOME, pid, process.CLONE_NEWUSER):
            return True
    return False


def _make() -> str:
    """Make a user namespace with this user's ids; return what is missing for other ids than 0, or "".

    A helper process, which stays outside, calls newuidmap(1) and newgidmap(1).
    """
    uid, gid = os.geteuid(), os.getegid()
    commands, lack = _commands(os.getpid(), uid, gid)
    gate, go = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(go)
        os._exit(_write_maps(commands) if os.read(gate, 1) else 1)
    os.close(gate)
    try:
        process.unshare(process.CLONE_NEWUSER)
        os.write(go, b"g")
    except OSError as error:
        raise HostError("rootless", f"no user namespace can be made: {error.strerror}", cure()) from error
    finally:
        os.close(go)
        _, status = os.waitpid(helper, 0)
    if not lack and status:
        lack = "newuidmap(1) or newgidmap(1) has failed (see the line before; is it setuid?)"
    if lack:
        map_one(uid, gid)
    return lack


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def cure(read: Callable[[str], str | None] = _text) -> str:
    """Return how the host's root permits user namespaces; *read* returns the text of a file; see proc_sys(5)."""
    for name, forbids, permits in SWITCHES:
        if (read(f"/proc/sys/{name.replace('.', '/')}") or "").strip() == forbids:
            return f"as root of the host: sysctl {name}={permits}"
    return "a process in a chroot may make none, see unshare(2); or be root"


def _commands(pid: int, uid: int, gid: int) -> tuple[list[list[str]], str]:
    """Return the commands that write the maps of process *pid*; or none, and what is missing, with its cure."""
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return [], f"/etc/passwd has no user {uid}"
    commands = []
    for program, table, own, number in (("newuidmap", "subuid", uid, uid), ("newgidmap", "subgid", gid, uid)):
        found = ranges(_text(f"/etc/{table}"), name, number)
        if not found:
            return [], f"/etc/{table} has no line for {name} (usermod --add-{table}s 100000-165535 {name})"
        path = next((path for folder in _PROGRAMS if os.path.exists(path := f"{folder}/{program}")), "")
        if not path:
            return [], f"{program} is not installed (apt install uidmap)"
        commands.append([path, str(pid), *id_map(own, found)])
    return commands, ""


def _write_maps(commands: Sequence[list[str]]) -> int:
    """Execute *commands* at the same time; return 0, or the exit status of one that failed; see posix_spawn(3)."""
    started = [os.posix_spawn(command[0], command, {}) for command in commands]
    return max((abs(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for pid in started), default=0)


def map_one(uid: int, gid: int) -> None:
    """Map id 0 alone, which needs no program; the kernel then permits no setgroups(2); see user_namespaces(7)."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1\n"), ("gid_map", f"0 {gid} 1\n")):
        files.write_once(os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC), text.encode())
