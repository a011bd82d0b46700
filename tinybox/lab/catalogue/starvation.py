"""Starvation, and random back-off: one waits for ever, others work on.

A writer needs a file for itself, and readers may share it. When the readers overlap, there is always one of them, and
the writer waits although the readers make progress: it starves. A door that the writer closes behind the readers ends
that. A livelock, in which two processes give way in step, ends when each waits a random number of rounds.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import socket
from typing import TYPE_CHECKING, Any

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

ROUNDS = 1000
FILE = "/tmp/file"
_shared = mmap.mmap(-1, mmap.PAGESIZE)  # byte 0: the door is closed; bytes 8 to 15: turns


def turns() -> int:
    """Return how many turns the readers have taken."""
    return int.from_bytes(_shared[8:16], "little")


def lock(kind: int) -> int:
    """Open the file and lock it, shared or exclusively; return the descriptor; see flock(2)."""
    fd = os.open(FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, kind)
    return fd


def write(closes_door: bool, readers_lock: int) -> None:
    """Be the writer: wait for the lock, and send how many turns the readers had taken by then."""
    os.close(readers_lock)
    _shared[0] = closes_door
    lock(fcntl.LOCK_EX)
    inside.send(turns())


def read(side: socket.socket, other_side: socket.socket, held: int) -> None:
    """Be a reader: when the other one has the lock, give it back, and take it again unless the door is closed."""
    other_side.close()
    while side.recv(1):
        os.close(held)
        closed = _shared[0]
        _shared[8:16] = (turns() + 1).to_bytes(8, "little")
        if closed or turns() >= ROUNDS:
            break
        held = lock(fcntl.LOCK_SH)
        side.send(b"!")


def start(act: Callable[..., None], *arguments: Any) -> None:
    """Do *act* in a child."""
    if os.fork() == 0:
        act(*arguments)
        os._exit(0)


def queue(closes_door: bool) -> None:
    """In the box: let a reader have the lock and a writer wait for it; after a line, let two readers take turns."""
    _shared[:16] = bytes(16)
    held = lock(fcntl.LOCK_SH)
    start(write, closes_door, held)
    inside.receive_line()
    one, other = socket.socketpair()
    start(read, one, other, held)
    start(read, other, one, held)
    os.close(held)
    one.send(b"!")  # to the second reader
    one.close()
    other.close()
    inside.receive_line()


def give_way(side: socket.socket, seed: int | None) -> None:
    """Want to go through a door, as the other process does, and give way to it; send the round of success, or 0.

    In each round both say whether they want to go, and who has gone. With a *seed* a process pauses at random.
    """
    draw, success = seed if seed is None else random.Random(seed), 0
    for number in range(1, ROUNDS + 1):
        said = (success == 0 and (draw is None or bool(draw.getrandbits(1))), success != 0)
        side.send(bytes(said))
        other_wants, other_has_gone = side.recv(2)
        if said[0] and not other_wants:
            success = number
        if said[1] and other_has_gone:
            break
    inside.send(success)


def meet(*seeds: int | None) -> None:
    """In the box: let two processes meet at a door, each with a seed for its pauses, or without pauses."""
    for side, seed in zip(socket.socketpair(), seeds, strict=True):
        start(give_way, side, seed)
    os.wait()
    os.wait()


def starve(bench: Bench, name: str, closes_door: bool) -> int:
    """Let a writer wait for the readers; return how many turns they had taken when it got the lock."""
    with bench.box(queue, closes_door, tmpfs=["/tmp"]) as box:
        pid = bench.until(lambda: look.children(box.program), "the writer")[0]
        bench.until(look.asleep(pid, "lock"), "the writer's sleep")
        source = f"/proc/{pid}/stat, /proc/{pid}/wchan, before the readers take turns"
        bench.on_host(f"{name}: the writer", f"{look.state(pid)} in {look.sleeps_in(pid)}", source)
        box.send_line("go")
        waited: int = box.receive()
    return bench.in_box(f"{name}: turns of the readers before the writer's", waited, "a counter that all share")


def check(bench: Bench, *, feature: bool) -> None:
    """Let a writer wait for readers that overlap, without and with a door; then let two polite processes meet."""
    alone = starve(bench, "no door" if feature else "a door here, too", not feature)
    with_door = starve(bench, "a door", True)
    seed = bench.random.randrange(1000)
    met = {}
    for name, seeds in (("no pauses", (None, None)), ("random pauses", (seed, seed + 1)), ("equal", (seed, seed))):
        with bench.box(meet, *seeds) as box:
            met[name] = sorted([box.receive(), box.receive()])
        shown = " and ".join(f"in round {number}" if number else "never" for number in met[name])
        bench.in_box(f"{name}: through the door", shown, f"seeds {seeds[0]}, {seeds[1]}; a counter in the program")
    bench.claim(f"the writer waits as long as there are readers: {ROUNDS} turns", alone >= ROUNDS)
    bench.claim("behind a closed door no new reader passes, and the writer is next", with_door <= 1)
    bench.claim(f"two that give way in step do not get through in {ROUNDS} rounds", met["no pauses"] == [0, 0])
    bench.claim("with random pauses both get through", min(met["random pauses"]) > 0)
    bench.claim("with the same random numbers on both sides neither does", met["equal"] == [0, 0])


LAB = Lab(
    question="A writer waits for a lock that readers share, and before one reader leaves another has come. When is it"
    " the writer's turn? And does a random pause help two processes that always give way to each other?",
    answer=f"Not before the readers end, here after {ROUNDS} turns: it sleeps, as in a deadlock, but the others make"
    " progress. If it may close a door to new readers, it is next. Random pauses end a livelock after a few rounds,"
    " unless both draw the same numbers.",
    control="the writer closes a door to new readers at once: it does not wait",
    check=check,
)
