"""Warnings about changes that box networks make to the host itself: each one is printed once per boot."""

from __future__ import annotations

import os

from tinybox.container.network import host_bridges, pools

TOLD = ".told"  # a file in the directory of the pools (which a reboot removes) that exists if the warning was printed
FORWARDING = "the host forwards packets (net.ipv4.ip_forward) while a box is on a bridge, and no longer after that"


def forwarding() -> str:
    """Return the warning about IP forwarding, and record that it was printed.

    Return an empty string if forwarding is already on, or if the warning was printed since the last boot.
    """
    with open(host_bridges.FORWARDING[4], encoding="utf-8") as file:
        if file.read().strip() != "0":
            return ""
    folder = pools.folder()
    os.makedirs(folder, 0o700, exist_ok=True)
    try:
        os.close(os.open(f"{folder}/{TOLD}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return ""
    return FORWARDING
