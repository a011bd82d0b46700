"""The exec family: six functions, one call; and fork returns twice.

execl, execv, execle, execlp, execvp and execvpe are functions of the C library. All of them make the same system call,
execve(2). The letters say how they get their arguments: l as a list, v as an array; e adds a new environment; with p
the library searches the directories of PATH, by one call after another. The kernel knows no PATH.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any

from tinybox.lab import inside, tracing
from tinybox.lab.course import Lab
from tinybox.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench
    from tinybox.lab.tracing import Call

PATH = "/nowhere:/tmp:/bin"
NAME, FILE = b"true", b"/bin/true"
_libc = ctypes.CDLL(None, use_errno=True)


def _array(*words: bytes) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)


END = ctypes.c_void_p(None)  # the null pointer after the last argument of a list
WORDS = _array(NAME)
FAMILY: dict[str, tuple[Any, ...]] = {
    "execl": (FILE, NAME, END),
    "execv": (FILE, WORDS),
    "execle": (FILE, NAME, END, _array(b"ONLY=this")),
    "execlp": (NAME, NAME, END),
    "execvp": (NAME, WORDS),
    "execvpe": (NAME, WORDS, _array(b"ONLY=this")),
}


def text_at(pid: int, address: int) -> str:
    """Return the text that begins at this address of a stopped process; see /proc/PID/mem in proc(5)."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(64).partition(b"\0")[0].decode()


def seen(number: int, act: Callable[[], object]) -> dict[str, Any]:
    """Do *act* in a traced child; return the paths of its execve(2) calls, and where the environment comes from."""
    paths, environments = [], []
    own = ctypes.c_void_p.in_dll(_libc, "environ").value

    def see(call: Call) -> None:
        if call.number == number:
            paths.append(text_at(call.pid, call.arguments[0]))
            environments.append("environ" if call.arguments[2] == own else text_at(call.pid, call.word(2)))

    status = tracing.traced(act, see)
    return {"paths": paths, "environment": environments[-1] if environments else "none", "status": status}


def called(name: str, arguments: tuple[Any, ...]) -> Callable[[], object]:
    """Return a function that calls one of the family, and leaves with the errno if the call returns."""

    def act() -> None:
        _libc[name](*arguments)
        os._exit(ctypes.get_errno())

    return act


def call_all(number: int, searches: bool) -> dict[str, dict[str, Any]]:
    """In the box: call the six functions, by the name alone those with a p; without *searches*, execv with the name."""
    _libc.setenv(b"PATH", PATH.encode(), 1)
    found = {}
    for name, arguments in FAMILY.items():
        real = name if searches or "p" not in name else "execv"
        found[name] = seen(number, called(real, arguments if real == name else (NAME, WORDS)))
    return found


def fork_once() -> None:
    """In the box: call fork(2) once; both processes send their pid, what fork(2) returned, and their parent."""
    returned = os.fork()
    inside.send([os.getpid(), returned, os.getppid()])
    if returned:
        os.waitpid(returned, 0)
    else:
        os._exit(0)


def check(bench: Bench, *, feature: bool) -> None:
    """Trace the six functions, and let both processes tell what fork(2) has returned."""
    bench.need(tracing.allowed(), "this host allows no ptrace(2)")
    with bench.box(call_all, syscalls.numbers_of(os.uname().machine)["execve"], feature) as box:
        found = box.receive()
    for name, one in found.items():
        ended = errno.errorcode[one["status"]] if one["status"] else "found"
        made = f"execve of {' '.join(one['paths'])}: {ended}; environment: {one['environment']}"
        bench.in_box(name, made, "strace -e execve; ptrace(2)")
    with bench.box(fork_once) as box:
        answers = [box.receive(), box.receive()]
    child, parent = sorted(answers, key=lambda answer: int(answer[1]))
    bench.in_box("fork(2) returned to the parent", f"{parent[1]}, in process {parent[0]}", "fork(2), getpid(2)")
    bench.in_box("fork(2) returned to the child", f"{child[1]}, in process {child[0]}", "fork(2), getpid(2)")
    direct = [found[name]["paths"] for name in ("execl", "execv", "execle")]
    tried = [f"{folder}/true" for folder in PATH.split(":")]
    bench.claim("without p there is one execve(2), of the path as given", direct == [["/bin/true"]] * 3)
    bench.claim("with p there is one for each directory of PATH, until one succeeds",
                [found[name]["paths"] for name in ("execlp", "execvp", "execvpe")] == [tried] * 3)  # fmt: skip
    bench.claim("all six have become the program", not any(one["status"] for one in found.values()))
    own = {name for name, one in found.items() if one["environment"] == "ONLY=this"}
    bench.claim("only execle and execvpe bring an environment", own == {"execle", "execvpe"})
    bench.claim("fork(2) returned twice: the child's pid to the parent", parent[1] == child[0])
    bench.claim("and 0 to the child", (child[1], child[2]) == (0, parent[0]))


LAB = Lab(
    question=f'With PATH={PATH}, a program calls execvp("true", ...). How many system calls is that, and of which'
    " paths? And what does fork return, to which of the two processes?",
    answer="Three execve: /nowhere/true and /tmp/true fail with ENOENT, /bin/true succeeds. The library searches, the"
    " kernel takes a path as it is. fork returns the child's pid to the parent, and 0 to the child.",
    control="the functions with p are replaced by execv: the name alone is not found",
    check=check,
)
