"""The states R S D T t Z X, and the moves between them.

Running, sleeping, sleeping so that ordinary signals do not wake it, stopped, stopped by a tracer, ended but not waited
for, gone. The letter comes from the kernel, so host and box read the same one. The process in state D waits until its
vfork(2) child calls execve(2). The child never does, because it waits at a FIFO that no process opens. This D is the
kind that SIGKILL ends; the lab disk-sleep shows the other one.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside, look, tracing
from tinybox.lab.course import Lab
from tinybox.pictures.series import Move, Moves

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

FIFO = "/tmp/nobody-opens-me"


def run() -> None:
    """R: use the CPU."""
    while True:
        pass


def sleep_deeply() -> None:
    """D: wait for a child of CLONE_VFORK to execute or end; see posix_spawn(3) and vfork(2)."""
    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, FIFO, os.O_RDONLY, 0)])


def be_stopped() -> None:
    """T: stop, and sleep after SIGCONT; see SIGSTOP in signal(7)."""
    os.kill(os.getpid(), signal.SIGSTOP)
    signal.pause()


def be_traced() -> None:
    """t: stop with the parent as tracer; see PTRACE_TRACEME in ptrace(2)."""
    tracing.ptrace(tracing.TRACEME)
    os.kill(os.getpid(), signal.SIGSTOP)


def stay() -> None:
    """S: sleep until a signal comes; see pause(2)."""
    signal.pause()


def end() -> None:
    """Z until the parent waits, then X: end."""


WAYS: dict[str, Callable[[], None]] = {
    "R": run, "S": stay, "D": sleep_deeply, "T": be_stopped, "t": be_traced, "Z": end, "X": end
}  # fmt: skip


def stage(active: bool) -> None:
    """In the box: make a child for each letter; send the pids, then the states; without *active*, all of them sleep."""
    os.mkfifo(FIFO)
    pids = {}
    for letter, act in WAYS.items():
        pids[letter] = os.fork()
        if pids[letter] == 0:
            inside.perform(act if active else stay, ())
    if active:
        os.waitpid(pids["X"], 0)
    inside.send(pids)
    inside.receive_line()
    inside.send({letter: look.state(pid) for letter, pid in pids.items()})
    os.kill(pids["T"], signal.SIGCONT)
    if active:
        os.waitpid(pids["Z"], 0)
    inside.receive_line()


def end_deep_sleep(bench: Bench, pid: int) -> None:
    """Send SIGTERM, then SIGKILL to the process in state D, and note what becomes of it."""
    after = []
    for number, patience in ((signal.SIGTERM, 0.1), (signal.SIGKILL, 10)):
        os.kill(pid, number)
        bench.comes(lambda: look.state(pid) in "ZX", patience)
        after.append(bench.on_host(f"D after {number.name}", look.state(pid), f"field 3 of /proc/{pid}/stat"))
    bench.claim("SIGTERM does not wake the process in D, SIGKILL ends it", after[0] == "D" and after[1] in "ZX")
    bench.text_says("a process in state D cannot be killed", f"kill -KILL {pid} ended one", refuted=after[1] in "ZX")


def draw(bench: Bench, seen: dict[str, str], later: tuple[str, str]) -> None:
    """Note the states, and the moves that this run has seen; *later*: the letters of T and Z at the end."""
    names = zip("RSDZXtT", "runs or may run,sleeps,sleeps deeply,zombie,gone,traced,stopped".split(","), strict=True)
    ways = {"S": "pause(2)", "D": "vfork(2)", "T": "SIGSTOP", "t": "ptrace(2)", "Z": "exit(2)"}
    moves = [Move("R", letter, by, seen[letter] == letter) for letter, by in ways.items()]
    moves.append(Move("T", "R", "SIGCONT", seen["T"] + later[0] == "TS"))
    moves.append(Move("Z", "X", "waitpid(2)", seen["Z"] + later[1] == "ZX"))
    says = "All begin in R. A green line is a move that this run has made and read from /proc."
    bench.draw(Moves("The states, and the moves between them", says, "field 3 of /proc/PID/stat", dict(names), moves))


def check(bench: Bench, *, feature: bool) -> None:
    """Bring seven processes into seven states, and read the letters on both sides."""
    bench.need(tracing.allowed(), "this host allows no ptrace(2)")
    with bench.box(stage, feature) as box:
        inner = box.receive()
        numbers = {look.status(pid, "NSpid").split()[-1]: pid for pid in look.children(box.program)}
        pids = {letter: numbers.get(str(pid), 0) for letter, pid in inner.items()}
        bench.comes(lambda: all(look.state(pids[letter]) == letter for letter in WAYS), 10 if feature else 0.2)
        outside = {letter: look.state(pid) for letter, pid in pids.items()}
        box.send_line("look")
        within = box.receive()
        for letter, act in WAYS.items():
            figure = f"{act.__name__}, for {letter}"
            bench.on_host(figure, outside[letter], source(outside[letter], pids[letter] or "PID"))
            bench.in_box(figure, within[letter], source(within[letter], inner[letter]))
        bench.comes(lambda: look.state(pids["T"]) + look.state(pids["Z"]) == "SX", 10 if feature else 0.2)
        later = look.state(pids["T"]), look.state(pids["Z"])
        bench.saw("T after SIGCONT, Z after waitpid", ", ".join(later), "the same field")
        draw(bench, outside, later)
        if feature:
            end_deep_sleep(bench, pids["D"])
    letters = {look.state(pid) for pid in os.listdir("/proc") if pid.isdecimal()} - {"X"}  # those that have just gone
    measured = f"the one that runs is {outside['R']}; all processes here are {' '.join(sorted(letters))}"
    refuted = outside["R"] == "R" and not letters & {"O", "B"}
    bench.text_says("a process that runs is O, and there is a state B", measured, refuted=refuted)
    bench.claim("all seven letters are seen", list(outside) == list(outside.values()))
    bench.claim("both sides read the same letter", {**outside, "R": ""} == {**within, "R": ""})
    bench.claim("SIGCONT moves T to S, and waitpid moves Z to X", later == ("S", "X"))


def source(letter: str, pid: object) -> str:
    """Return where a letter comes from; X is not read but concluded: there is no file."""
    return f"open(2) of /proc/{pid}/stat: ENOENT" if letter == "X" else f"field 3 of /proc/{pid}/stat"


LAB = Lab(
    question="Which states of a process can you produce on purpose, and does the host see other states than the box?",
    answer="All seven: R by work, S by waiting, D by waiting for a vfork child, T by SIGSTOP, t by ptrace, Z by ending"
    " without being waited for, X when the parent has waited: the entry in /proc is gone (ENOENT). Both sides read the"
    " same letter. This D does not notice SIGTERM, but SIGKILL ends it.",
    control="the same seven processes only sleep: S everywhere",
    check=check,
)
