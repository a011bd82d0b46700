"""The limit on a disk: bytes a second, for each device.

A group may have a rate for each block device: io.max in version 2, blkio.throttle in version 1. The kernel lets the
bytes of one time slice pass, and holds the next request back until the group's account is balanced. No call fails; the
program only waits longer. Here the program writes with O_DIRECT: other writes go to the page cache first, and in
version 1 the limit never sees which group they came from.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from typing import TYPE_CHECKING

from tinybox.errors import HostError
from tinybox.isolation.cgroups import stats
from tinybox.lab import inside
from tinybox.lab.bench import Inconclusive
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

MIB = 2**20
LIMIT, PIECE, PIECES = 8 * MIB, MIB // 2, 8  # bytes a second, and bytes of one write; 4 MiB take half a second
FILES = {
    1: ("blkio.throttle.write_bps_device", "blkio.throttle.io_service_bytes_recursive"),
    2: ("io.max", "io.stat"),
    0: ("", ""),
}
FASTER = 2  # times the limit at least, without a limit


def write_directly(path: str) -> None:
    """In the box, or on the host: write a file past the page cache, and send the seconds; see O_DIRECT in open(2)."""
    buffer = mmap.mmap(-1, PIECE)  # O_DIRECT needs memory at the start of a page
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
        os.posix_fallocate(file, 0, PIECE * PIECES)
        began = time.monotonic()
        for number in range(PIECES):
            os.pwrite(file, buffer, number * PIECE)
    except OSError as error:
        inside.send(errno.errorcode[error.errno or 0])
    else:
        inside.send(time.monotonic() - began)
    inside.receive_line()


def disk_below(folder: str) -> str:
    """Return the path of the whole disk that has this directory; "" if it is on no block device; see sysfs(5)."""
    device = os.stat(folder).st_dev
    place = os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if os.path.exists(f"{place}/partition"):
        place = os.path.dirname(place)
    path = f"/dev/{os.path.basename(place)}"
    return path if os.path.exists(f"{place}/dev") and os.path.exists(path) else ""


def rate(bench: Bench, answer: float | str) -> float:
    """Return bytes a second; Inconclusive if the file system permits no such writes."""
    bench.need(not isinstance(answer, str), f"the file system permits no direct writes: {answer}")
    return PIECE * PIECES / float(answer)


def check(bench: Bench, *, feature: bool) -> None:
    """Write to one disk from the host and from a box with a limit, and compare the rates."""
    folder = bench.folder()
    disk = disk_below(folder)
    bench.need(disk, f"{folder} is on no block device of its own (tmpfs, overlay, btrfs ...)")
    with bench.process(write_directly, f"{folder}/free") as guest:
        free = rate(bench, guest.receive())
    options = {"device_write_bps": [f"{disk}:{LIMIT}"]} if feature else {}
    options["device_read_bps"] = [f"{disk}:1g"]  # it never applies, but the kernel counts the bytes of the box
    try:
        box = bench.keep(bench.box(write_directly, "/shared/limited", volume=[f"{folder}:/shared"], **options))
    except HostError as error:
        raise Inconclusive(f"this host limits no disk: {error}") from error
    limited = rate(bench, box.receive())
    group = box.container.cgroup
    counted = stats.io(group)["io_written"]
    limit, counter = FILES[group.hierarchies.version("io")]
    amount = f"{PIECES} writes of {PIECE} bytes"
    bench.on_host("MB a second, without a limit", f"{free / 1e6:.1f}", f"pwrite(2) with O_DIRECT, {amount}; {disk}")
    bench.on_host("limit of the box", (group.read("io", limit) or "none").strip() or "none", f"{limit} of {group.name}")
    bench.in_box("MB a second", f"{limited / 1e6:.1f}", "the same calls in the box")
    bench.on_host("bytes that the kernel counted", counted, counter)
    bench.need(counted != 0, f"{disk} counts no bytes of a group")
    fast = FASTER * LIMIT
    bench.need(free > fast and (feature or limited > fast), f"the disk is slow or busy: {free / 1e6:.1f} MB a second")
    bench.claim(f"the box gets {LIMIT / 1e6:.1f} MB a second, and no more", limited < LIMIT * 1.25)
    bench.claim("the host writes to the same disk at full speed", free > fast)
    bench.claim("every byte of the box was counted", (counted or 0) >= PIECE * PIECES)


LAB = Lab(
    question=f"A box may write {LIMIT // MIB} MiB a second to the disk (--device-write-bps). It writes"
    f" {PIECE * PIECES // MIB} MiB. Which call fails, and how long does it take?",
    answer="None fails, and it takes half a second: the kernel holds each request back until the group may write again."
    " The host writes to the same disk at full speed.",
    control="the box has no limit for writing: it is as fast as the host",
    check=check,
)
