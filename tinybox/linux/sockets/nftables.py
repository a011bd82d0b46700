"""Scripts of nft(8), carried out by libnftables in this process, or by the program nft if there is no such library.

The program is a thin shell around the library: to start it takes ten times as long as to use the library from here. See
libnftables(3).
"""

from __future__ import annotations

import os

from tinybox.errors import HostError
from tinybox.linux.sockets import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

LIBRARY = "libnftables.so.1"
_CURE = "use --network none or host"
PROGRAMS = ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft")


class Nftables:
    """A context manager that carries out scripts, each whole or not at all; HostError: this host has no nftables.

    When libnftables closes its *socket*, the kernel frees what was deleted by it, and for this waits until no processor
    can still use it (an RCU grace period, 5 to 20 ms). A caller that has to wait for links as well waits for both at
    the same time if it closes this last. If a child has this file, too, the child waits.
    """

    def __init__(self) -> None:
        self._library, self._context, self.socket = _library(), None, -1
        if self._library is None:
            program()
            return
        self.socket = _lowest_socket()
        self._context = self._library.nft_ctx_new(0)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._context is not None:
            self._library.nft_ctx_free(self._context)

    def carry_out(self, script: str) -> tuple[bool, str]:
        """Carry out *script*; return whether it was accepted, and its output, or the first line of the error."""
        if self._library is None:
            return _by_program(script)
        accepted = self._library.nft_run_cmd_from_buffer(self._context, script.encode()) == 0
        output = self._library.nft_ctx_get_output_buffer(self._context).decode(errors="replace")
        error = self._library.nft_ctx_get_error_buffer(self._context).decode(errors="replace")
        return accepted, output if accepted else _complaint(error) or "libnftables refuses it"


def program() -> str:
    """Return the path of nft(8); HostError: it is not installed."""
    for path in PROGRAMS:
        if os.access(path, os.X_OK):
            return path
    raise HostError("nft", "is not installed", f"apt-get install nftables, or {_CURE}")


def _library() -> Any:
    """Return libnftables, with the types of the functions that are used here; None: it is not installed."""
    import ctypes

    try:
        library = ctypes.CDLL(LIBRARY)
        library.nft_ctx_new.restype = ctypes.c_void_p
        for name in ("output", "error"):
            getattr(library, f"nft_ctx_buffer_{name}").argtypes = (ctypes.c_void_p,)
            getattr(library, f"nft_ctx_get_{name}_buffer").argtypes = (ctypes.c_void_p,)
            getattr(library, f"nft_ctx_get_{name}_buffer").restype = ctypes.c_char_p
        library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        library.nft_ctx_free.argtypes = (ctypes.c_void_p,)
    except (OSError, AttributeError):
        return None
    return library


def _lowest_socket() -> int:
    """Return the number that the next socket will have, of which libnftables does not tell its caller.

    HostError: the kernel has no nfnetlink, and nft_ctx_new() of libnftables would end this process.
    """
    try:
        with netlink.NetlinkSocket(netlink.NETFILTER) as probe:
            return probe.fileno()
    except OSError as error:
        raise HostError("nftables", f"the kernel has no nfnetlink: {error.strerror}", _CURE) from error


def _by_program(script: str) -> tuple[bool, str]:
    """Start nft(8), which inherits the caller's locks: it goes on if the caller is killed."""
    import subprocess

    done = subprocess.run(
        [program(), "-f", "-"],
        input=script,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env={},
        close_fds=False,
    )
    if done.returncode:
        return False, _complaint(done.stderr) or f"nft: status {done.returncode}"
    return True, done.stdout


def _complaint(text: str) -> str:
    """Return the first line of an error message of nft, without the place in the script."""
    first = text.partition("\n")[0]
    return first[first.find("Error: ") :] if "Error: " in first else first
