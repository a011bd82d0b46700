"""Sendfile from a file to a socket: how Kafka sends its log.

A broker that sends a file with read(2) and write(2) copies each piece into its own memory and out again. With
sendfile(2) the kernel takes the pages of the file from its cache and gives them to the socket. The same bytes arrive,
but none of them has been in the memory of the program. The way back does not exist: sendfile(2) reads from no socket.
"""

from __future__ import annotations

import errno
import os
import socket
import zlib
from typing import TYPE_CHECKING, Any

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

    from tinybox.lab.bench import Bench

SIZE, PIECE = 8 << 20, 4096  # bytes
PIECES = SIZE // PIECE
FEW = 64  # calls; sendfile(2) may return before all is sent, and is called again
LOG, _buffer = "/tmp/log", bytearray(PIECE)


def counters() -> dict[str, int]:
    """Return the counters of this process: syscr, syscw, wchar and others; see proc_pid_io(5)."""
    return {name: int(value) for name, value in map(str.split, look.text("/proc/self/io").splitlines())}


def by_read_and_write(log: FileIO, consumer: int) -> None:
    """Send the file with read(2) into a buffer, and write(2)."""
    while got := log.readinto(_buffer):
        os.write(consumer, memoryview(_buffer)[:got])  # sleeps until all of it is in the socket


def by_sendfile(log: FileIO, consumer: int) -> None:
    """Send the file with sendfile(2)."""
    done = 0
    while done < SIZE:
        done += os.sendfile(consumer, log.fileno(), done, SIZE - done)


def write_log() -> None:
    """Write random bytes into the log, the same piece again and again."""
    with open(LOG, "wb", buffering=0) as log:
        log.write(os.urandom(PIECE) * PIECES)


def consume(address: Any) -> None:
    """Be the consumer: read all that the broker sends, and answer with its length and its checksum."""
    got = check_sum = 0
    with socket.socket() as broker:
        broker.connect(address)
        while piece := broker.recv(65536):
            got, check_sum = got + len(piece), zlib.crc32(piece, check_sum)
        broker.sendall(f"{got} {check_sum}".encode())


def in_child(act: Callable[..., None], *arguments: Any) -> int:
    """Do *act* in a child, which has a memory of its own; return its pid."""
    pid = os.fork()
    if pid == 0:
        act(*arguments)
        os._exit(0)
    return pid


def broker(with_sendfile: bool) -> None:
    """In the box: send a log that another process has written; send the counters, the consumer's answer, and stay."""
    os.waitpid(in_child(write_log), 0)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    in_child(consume, listener.getsockname())
    consumer, _ = listener.accept()
    with open(LOG, "rb", buffering=0) as log:
        before = counters()
        (by_sendfile if with_sendfile else by_read_and_write)(log, consumer.fileno())
        counted = {name.rstrip(":"): value - before[name] for name, value in counters().items()}
    consumer.shutdown(socket.SHUT_WR)
    refusal = back(consumer.fileno())
    inside.send({**counted, "answer": consumer.recv(100).decode(), "back": refusal})
    inside.receive_line()


def back(consumer: int) -> str:
    """Try sendfile(2) from the socket to a file; return the errno's name."""
    with open("/tmp/copy", "wb", buffering=0) as target:
        try:
            return f"{os.sendfile(target.fileno(), consumer, None, PIECE)} bytes"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


def places(pid: int, sample: bytes) -> int:
    """Return how often *sample* is in the writable memory of a process; see /proc/PID/mem in proc(5)."""
    found = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in look.text(f"/proc/{pid}/maps").splitlines():
            area, rights, _ = line.split(maxsplit=2)
            start, end = (int(part, 16) for part in area.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                found += memory.read(end - start).count(sample)
    return found


def sent(bench: Bench, name: str, with_sendfile: bool) -> dict[str, Any]:
    """Let a broker send its log, note what was counted, and search a sample of the log in the broker's memory."""
    with bench.box(broker, with_sendfile, tmpfs=["/tmp"]) as box:
        one: dict[str, Any] = box.receive()
        with open(box.path(LOG), "rb") as file:
            log = file.read()
        one["log"], one["places"] = f"{len(log)} {zlib.crc32(log)}", places(box.program, log[:64])
        source = f"a search for 64 bytes of it in /proc/{box.program}/mem"
        bench.on_host(f"{name}: the log in the broker's memory", f"{one['places']} times", source)
    bench.in_box(f"{name}: calls", f"{one['syscr']} + {one['syscw']}", "syscr + syscw in /proc/self/io")
    bench.in_box(f"{name}: bytes written", one["wchar"], "wchar in /proc/self/io")
    bench.in_box(f"{name}: the consumer got", one["answer"], f"recv(2): bytes, crc32; the log has {one['log']}")
    return one


def check(bench: Bench, *, feature: bool) -> None:
    """Send 8 MiB to a consumer over TCP in two ways; count calls, and search the log in the program's memory."""
    looped, direct = sent(bench, "read, write", False), sent(bench, "sendfile", feature)
    bench.in_box("sendfile from the socket to a file", direct["back"], "errno of sendfile(2)")
    bench.claim("both consumers got the log", all(one["answer"] == one["log"] for one in (looped, direct)))
    bench.claim(f"piece by piece takes {PIECES} reads and as many writes", looped["syscw"] == PIECES <= looped["syscr"])
    bench.claim(f"with sendfile(2) there are fewer than {FEW} calls", direct["syscr"] + direct["syscw"] < FEW)
    bench.claim("the kernel counts as many written bytes in both ways", looped["wchar"] == direct["wchar"] == SIZE)
    bench.claim("with read and write the log is in the memory of the program", looped["places"] > 0)
    bench.claim("with sendfile(2) it is not", direct["places"] == 0)
    bench.claim("sendfile(2) from a socket to a file fails with EINVAL", direct["back"] == "EINVAL")


LAB = Lab(
    question=f"A broker sends a log of {SIZE >> 20} MiB to a consumer. How many calls does it make with read and write,"
    " and how many with sendfile? Is the log then in its memory? Can it receive in the same way?",
    answer=f"{PIECES} reads and {PIECES} writes of {PIECE} bytes, against a few calls. With sendfile none of the log is"
    " in the broker's memory. It cannot receive in this way: sendfile from a socket fails with EINVAL.",
    control="the second consumer is served with read and write, too",
    check=check,
)
