"""select, poll and epoll with 10 000 files; level and edge.

select(2) and poll(2) pass the whole list with each call, and the kernel asks every file; the C library's fd_set ends at
number 1023. epoll(7) keeps the list in the kernel, and a file that becomes ready puts itself on a second, short list.
Level-triggered, epoll reports a file as long as there is something to read; edge-triggered, only when something new
arrives. A program that leaves a rest unread after an edge waits for ever.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import time
from typing import TYPE_CHECKING, Any

from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

FILES, CALLS, ROUNDS = 10_000, 20, 5
ENOUGH = FILES + 100  # descriptors
NOWHERE = 4096  # an address at which no program has memory; see mmap_min_addr in proc(5)
_libc = ctypes.CDLL(None, use_errno=True)


def reports(trigger: int) -> list[int]:
    """Return how many events four calls report: bytes arrive; one byte is read, a rest stays; nothing; more arrive."""
    reader, writer = os.pipe()
    epoll = select.epoll()
    epoll.register(reader, select.EPOLLIN | trigger)
    counts = []
    for arriving, wanted in ((b"abc", 0), (b"", 1), (b"", 0), (b"d", 0)):
        os.write(writer, arriving)
        if wanted:
            os.read(reader, wanted)
        counts.append(len(epoll.poll(0)))
    return counts


def microseconds(wait: Callable[[], object]) -> float:
    """Return the CPU time of one call, the best of a few rounds; see clock(3)."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(CALLS):
            wait()
        spent.append(time.process_time_ns() - began)
    return round(min(spent) / CALLS / 1000, 1)


def refusal(act: Callable[[], object]) -> str:
    """Return the name of the errno, or the text of Python's own refusal; "ok" if there is none."""
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except ValueError as error:
        return str(error)
    return "ok"


def wait_into(epoll: int, address: int) -> None:
    """Call epoll_wait(2) with a buffer at this *address*."""
    if _libc.epoll_wait(epoll, ctypes.c_void_p(address), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "epoll_wait")


def watch(trigger: int) -> dict[str, Any]:
    """In the box: open FILES files, one of them ready, and wait for them in three ways; see eventfd(2)."""
    fds = [os.eventfd(0) for _ in range(FILES)]
    os.eventfd_write(fds[FILES // 2], 1)
    poll, epoll = select.poll(), select.epoll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
        epoll.register(fd, select.EPOLLIN)
    return {
        "found": [len(poll.poll(0)), len(epoll.poll(0))],
        "poll": microseconds(lambda: poll.poll(0)),
        "epoll": microseconds(lambda: epoll.poll(0)),
        "select": refusal(lambda: select.select([fds[-1]], [], [], 0)),
        "mmap": refusal(lambda: mmap.mmap(epoll.fileno(), mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)),
        "copy": refusal(lambda: wait_into(epoll.fileno(), NOWHERE)),
        "reports": reports(trigger),
    }


def check(bench: Bench, *, feature: bool) -> None:
    """Wait for 10 000 files in a box by poll and epoll, and let bytes arrive for level and edge."""
    with bench.box(watch, select.EPOLLET if feature else 0, **bench.descriptors(ENOUGH)) as box:
        seen = box.receive()
    bench.in_box("poll, one call", f"{seen['poll']} us", f"CPU time, {FILES} files, one is ready; the best of {ROUNDS}")
    bench.in_box("epoll, one call", f"{seen['epoll']} us", "the same files; clock(3)")
    dearer = round(seen["poll"] / max(seen["epoll"], 0.1))
    bench.in_box("poll costs", f"{dearer} times as much", "the quotient of the two")
    bench.in_box("ready files that they find", seen["found"], "poll(2), epoll_wait(2)")
    bench.in_box(f"select, file {FILES}", seen["select"], "select(2), by Python")
    with bench.process(reports, 0) as guest:
        level = guest.receive()
    bench.on_host("level-triggered, events of four calls", level, "3 bytes; one read; nothing; one more: epoll_wait(2)")
    bench.in_box("edge-triggered, events of four calls", seen["reports"], "the same with EPOLLET")
    bench.in_box("mmap(2) of the epoll", seen["mmap"], "mmap(2) of its descriptor")
    bench.in_box("a buffer where no memory is", seen["copy"], f"epoll_wait(2) with the address {NOWHERE}")
    bench.text_says("epoll shares memory with the kernel by mmap", f"mmap(2) of it fails with {seen['mmap']}",
                    refuted=seen["mmap"] == "ENODEV")  # fmt: skip
    bench.claim("a call of poll costs more than ten times as much as one of epoll", dearer > 10)
    bench.claim("both find the one file that is ready", seen["found"] == [1, 1])
    bench.claim("select's set of descriptors has no room for the last file", "out of range" in seen["select"])
    bench.claim("level: reported as long as a rest is unread", level == [1, 1, 1, 1])
    bench.claim("edge: reported once, and again only when more arrives", seen["reports"] == [1, 0, 0, 1])
    bench.claim("the epoll cannot be mapped (ENODEV); the kernel copies events to the caller's buffer (EFAULT)",
                (seen["mmap"], seen["copy"]) == ("ENODEV", "EFAULT"))  # fmt: skip


LAB = Lab(
    question=f"A server waits for {FILES} connections, and one has sent something. How much more does poll(2) cost than"
    " epoll_wait(2)? It reads only a part of what was sent, and waits again: does epoll report the rest?",
    answer="Hundreds of times: poll passes the list and asks every file, epoll finds the one on its ready list."
    " Level-triggered, which is the default, the rest is reported again and again; edge-triggered, it is not reported"
    " until more arrives. No memory is shared: epoll_wait copies the events.",
    control="EPOLLET is left out: the rest is reported again",
    check=check,
)
