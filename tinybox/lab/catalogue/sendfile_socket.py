"""Sendfile from a file to a socket: how Kafka sends its log.

A broker that sends a file with read(2) and write(2) copies each piece into its own memory and out again. With
sendfile(2) the kernel takes the pages of the file from its cache and gives them to the socket. The same bytes arrive,
but none of them passes through the program. The way back does not exist: sendfile(2) cannot read from a socket.
"""

from __future__ import annotations

import errno
import os
import socket
import zlib
from typing import TYPE_CHECKING, Any

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

SIZE, PIECE = 8 << 20, 4096  # bytes
PIECES = SIZE // PIECE
FEW = 64  # calls; on a busy machine sendfile(2) returns before all is sent, and is called again
LOG = "/tmp/log"


def counters() -> dict[str, int]:
    """Return the counters of this process: syscr, syscw, rchar, wchar and others; see proc_pid_io(5)."""
    pairs = (line.split(": ") for line in look.text("/proc/self/io").splitlines())
    return {name: int(value) for name, value in pairs}


def by_read_and_write(log: int, consumer: int) -> int:
    """Send the file with read(2) and write(2); return how many bytes came into this program's memory."""
    through = 0
    while piece := os.read(log, PIECE):
        through += len(piece)
        while piece:
            piece = piece[os.write(consumer, piece) :]
    return through


def by_sendfile(log: int, consumer: int) -> int:
    """Send the file with sendfile(2); return how many bytes came into this program's memory: none."""
    done = 0
    while done < SIZE:
        done += os.sendfile(consumer, log, done, SIZE - done)
    return 0


def consume(address: Any) -> None:
    """Be the consumer: read all that the broker sends, and answer with its length and its checksum."""
    got = check_sum = 0
    with socket.socket() as broker:
        broker.connect(address)
        while piece := broker.recv(65536):
            got, check_sum = got + len(piece), zlib.crc32(piece, check_sum)
        broker.sendall(f"{got} {check_sum}".encode())
    os._exit(0)


def sent(send: Callable[[int, int], int]) -> dict[str, Any]:
    """Send the file to a new consumer over TCP; return what the kernel counted, and the consumer's answer."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    if os.fork() == 0:
        consume(listener.getsockname())
    consumer, _ = listener.accept()
    log = os.open(LOG, os.O_RDONLY)
    before = counters()
    through = send(log, consumer.fileno())
    after = counters()
    consumer.shutdown(socket.SHUT_WR)
    refusal = back(consumer.fileno())
    answer = consumer.recv(100).decode()
    os.close(log)
    listener.close()
    return {name: after[name] - before[name] for name in before} | {
        "through": through, "answer": answer, "back": refusal
    }  # fmt: skip


def back(consumer: int) -> str:
    """Try sendfile(2) from the socket to a file; return the errno's name."""
    target = os.open("/tmp/copy", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        return f"{os.sendfile(target, consumer, None, PIECE)} bytes"
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    finally:
        os.close(target)


def broker(with_sendfile: bool) -> dict[str, Any]:
    """In the box: make the log, and send it in both ways."""
    log = os.urandom(PIECE) * PIECES
    fd = os.open(LOG, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, log)
    os.close(fd)
    second = by_sendfile if with_sendfile else by_read_and_write
    return {"log": f"{SIZE} {zlib.crc32(log)}", "looped": sent(by_read_and_write), "direct": sent(second)}


def check(bench: Bench, *, feature: bool) -> None:
    """Send 8 MiB to a consumer over TCP in two ways; count calls, and bytes in the program's memory."""
    with bench.box(broker, feature, tmpfs=["/tmp"]) as box:
        seen = box.receive()
    looped, direct = seen["looped"], seen["direct"]
    bench.in_box("the log: bytes, checksum", seen["log"], "wc -c; crc32")
    for name, one in (("read, write", looped), ("sendfile", direct)):
        bench.in_box(f"{name}: calls", f"{one['syscr']} + {one['syscw']}", "syscr + syscw in /proc/self/io")
        bench.in_box(f"{name}: bytes moved by the kernel", one["wchar"], "wchar in /proc/self/io")
        bench.in_box(f"{name}: bytes in the program's memory", one["through"], "the sum of what read(2) returned")
        bench.in_box(f"{name}: the consumer got", one["answer"], "recv(2), crc32")
    bench.in_box("sendfile from the socket to a file", direct["back"], "errno of sendfile(2)")
    bench.claim("both consumers got the log", looped["answer"] == direct["answer"] == seen["log"])
    many = min(looped["syscr"], looped["syscw"])
    bench.claim(f"piece by piece takes {PIECES} reads and as many writes, or more", many >= PIECES)
    bench.claim(f"with sendfile(2) there are fewer than {FEW} calls", direct["syscr"] + direct["syscw"] < FEW)
    bench.claim("and no byte of the log came into the program's memory", direct["through"] == 0)
    bench.claim("the kernel counts as many written bytes in both ways", looped["wchar"] == direct["wchar"] == SIZE)
    bench.claim("sendfile(2) from a socket to a file fails with EINVAL", direct["back"] == "EINVAL")


LAB = Lab(
    question=f"A broker sends a log of {SIZE >> 20} MiB to a consumer. How many calls does it make with read and write,"
    " and how many with sendfile? Can it receive the log in the same way?",
    answer=f"{PIECES} reads and {PIECES} writes of {PIECE} bytes, against a few calls; and none of the bytes comes into"
    " the broker's memory. It cannot receive in this way: sendfile from a socket fails with EINVAL.",
    control="the second consumer is served with read and write, too",
    check=check,
)
