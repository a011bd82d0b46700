"""What boxes with a network change on the host beyond objects of their own is said: once a boot, not with each box."""

from __future__ import annotations

import os

from tinybox.container.network import host_bridges, pools

TOLD = ".told"  # in the directory of the pools, which is gone with the next boot
FORWARDING = "the host forwards packets (net.ipv4.ip_forward) while a box is on a bridge, and then no longer"


def forwarding() -> str:
    """Return what is to be said about forwarding, and remember that it was; nothing where it is on, or was said."""
    with open(host_bridges.FORWARDING[4], encoding="ascii") as file:
        if file.read().strip() != "0":
            return ""
    folder = pools.folder()
    os.makedirs(folder, 0o700, exist_ok=True)
    try:
        os.close(os.open(f"{folder}/{TOLD}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return ""
    return FORWARDING
