"""The link remover: a child process that removes the links of an ended box, while `tinybox run --rm` returns.

The kernel removes a link when no processor can still use it, and a bridge waits twice: 20 to 30 ms, in which the
process that has asked does nothing. The child inherits the lock on the host bridges, so the next box waits until the
links are gone. Their names are written to a note before. If the child is killed, the next process that gets the lock
finds the note, and removes the links. The child's name in ps(1) is ``tinybox:links``.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container.network import pools
from tinybox.container.process import init
from tinybox.isolation.network import removal
from tinybox.linux import process
from tinybox.linux.filesystem import descriptors, files
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def remove(bridges: Iterable[str], links: Iterable[str]) -> None:
    """Remove *bridges* with all their links, and *links*; no error if they are gone."""
    for bridge in bridges:
        removal.remove_bridge(bridge)
    for link in links:
        removal.remove_link(link)


def begin(folder: str, bridges: Iterable[str], links: Iterable[str], kept: Iterable[int]) -> None:
    """Begin to remove *bridges* and *links* in a child, which has the files *kept*: among them the lock of *folder*.

    If the note cannot be written (a full disk), or no child can be made, this process removes them, and waits.
    """
    note = f"{folder}/{pools.LEAVING}"
    bridges, links = [*bridges], [*links]
    try:
        files.replace(note, f"{' '.join(bridges)}\n{' '.join(links)}".encode())
        child = os.fork()
    except OSError:
        remove(bridges, links)
        files.discard(note)
        return
    if child:
        return
    try:
        explain.listeners.clear()
        signal.pthread_sigmask(signal.SIG_BLOCK, init.SIGNALS)  # a Ctrl-C is for the command, which has done its part
        process.set_name(b"tinybox:links")
        descriptors.keep_only(kept)
        remove(bridges, links)
        os.unlink(note)
    finally:
        os._exit(0)


def finish(folder: str) -> None:
    """Remove what a killed child has left; the caller has the lock of *folder*, so the child does not live any more."""
    note = f"{folder}/{pools.LEAVING}"
    files.discard(f"{note}.new")
    try:
        with open(note, encoding="utf-8") as file:
            bridges, links = file.read().split("\n")
    except FileNotFoundError:
        return
    remove(bridges.split(), links.split())
    os.unlink(note)
