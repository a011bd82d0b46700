"""A file system that never answers: a request to it sleeps like one to a broken disk or to a file server that is gone.

FUSE lets a program be the server of a file system: it reads requests from /dev/fuse, and writes answers; see fuse(4).
This server answers the first request, by which the kernel says hello, takes the second one, and does nothing more.
"""

from __future__ import annotations

import os
import struct

from tinybox.linux import mount

REQUEST = struct.Struct("=IIQ")  # struct fuse_in_header begins: length, operation, number of the request
HELLO = struct.Struct("=IiQ")  # struct fuse_out_header: length, error, number of the request
PROTOCOL = struct.pack("=II", 7, 31).ljust(64, b"\0")  # struct fuse_init_out: the version; all features off
MOST = 1 << 17  # bytes of a request; the kernel refuses a read(2) of less than 8192


def mounted(place: str) -> int:
    """Mount the file system at *place*, and return the server's descriptor; OSError if this kernel does not let it.

    When the last copy of the descriptor is closed, all requests that wait fail with ECONNABORTED.
    """
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        data = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        mount.mount(b"silent", place.encode(), b"fuse", 0, data.encode())
        _, _, number = REQUEST.unpack_from(os.read(fd, MOST))
        os.write(fd, HELLO.pack(HELLO.size + len(PROTOCOL), 0, number) + PROTOCOL)
    except OSError:
        os.close(fd)
        raise
    return fd


def take_request(fd: int) -> None:
    """Wait for a request, and take it: from now on, not even SIGKILL wakes the process that has made it."""
    os.read(fd, MOST)
