"""Parse the values of --device, --device-cgroup-rule, --device-read-bps and its like, and of --ulimit.

Each function takes text, and returns a value or raises a UsageError that names the option.
"""

from __future__ import annotations

import os
import stat

from tinybox.container.config.option_values import pair, size, whole
from tinybox.errors import UnfitValueError, UsageError
from tinybox.isolation import rlimits
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.spec_types import Device, Rlimit


def device(text: str) -> tuple[Device, str]:
    """Return ``SRC[:DST[:rwm]]`` as a device of the container, and the access that its control group allows."""
    source, _, rest = text.partition(":")
    destination, _, access = rest.partition(":")
    if destination and not destination.startswith("/"):
        destination, access = "", destination
    if not set(access) <= set("rwm"):
        raise UsageError(f"--device {text}", f"access {access!r} is not made of r, w and m")
    if not source.startswith("/"):
        raise UsageError(f"--device {text}", f"{source} is not an absolute path")
    return device_node(source, destination or source, f"--device {text}"), access or "rwm"


def device_rule(text: str) -> dict[str, Any]:
    """Return ``c 42:* rwm`` as an OCI rule that allows it; see cgroup-v1/devices in the kernel's documentation."""
    cure = "write the type (a, b or c), the numbers, and the access (letters of rwm): 'c 42:* rwm'"
    kind, numbers, access = [*text.split(), "", "", ""][:3]
    parts = numbers.split(":")
    sound = len(parts) == 2 and all(word == "*" or is_whole(word) for word in parts)
    if len(text.split()) != 3 or kind not in ("a", "b", "c") or not sound or not set(access) <= set("rwm"):
        raise UsageError(f"--device-cgroup-rule {text}", "is no rule", cure)
    major, minor = (-1 if word == "*" else int(word) for word in parts)
    if major >= 1 << 12 or minor >= 1 << 20:
        raise UsageError(f"--device-cgroup-rule {text}", "has numbers that no device has; see makedev(3)")
    return {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}


def device_node(source: str, destination: str, option: str) -> Device:
    """Return the host's device *source* as a device of the container at *destination*; see mknod(2)."""
    try:
        info = os.stat(source)
    except OSError as error:
        raise UnfitValueError(option, f"{source}: {error.strerror}").after(error) from error
    if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
        raise UnfitValueError(option, f"{source} is not a device")
    return {
        "path": destination,
        "type": "c" if stat.S_ISCHR(info.st_mode) else "b",
        "major": os.major(info.st_rdev),
        "minor": os.minor(info.st_rdev),
        "fileMode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
    }


def host_devices(folder: str) -> list[str]:
    """Return the device nodes below *folder*; see mknod(2).

    Of /dev, the directories for terminals and shared memory and the standard devices are left out.
    """
    skipped = (
        "pts",
        "shm",
        "mqueue",
        "fd",
        ".udev",
        "console",
        "ptmx",
        "tty",
        "null",
        "zero",
        "full",
        "random",
        "urandom",
    )
    found = []
    for entry in os.scandir(folder):
        if entry.is_symlink() or (folder == "/dev" and entry.name in skipped):
            continue
        if entry.is_dir():
            found += host_devices(entry.path)
        elif not entry.is_file():
            found.append(entry.path)
    return sorted(path for path in found if _is_device(path))


def _is_device(path: str) -> bool:
    try:
        device_node(path, path, "")
    except UsageError:
        return False
    return True


def throttle(option: str, text: str) -> dict[str, int]:
    """Return ``/dev/sda:1m`` as OCI's throttle (bytes or operations a second) or weight, with the device's numbers."""
    path, number_of = pair(option, text, ":", "write /dev/sda:1m" if option.endswith("-bps") else "write /dev/sda:100")
    if option == "blkio-weight-device":
        value = {"weight": whole(option, number_of, 10, 1000, UsageError)}
    elif option.endswith("-bps"):
        value = {"rate": size(option, number_of)}
    else:
        value = {"rate": whole(option, number_of, 0, (1 << 64) - 1, UsageError)}
    node = device_node(path, path, f"--{option} {text}")
    if node["type"] != "b":
        raise UnfitValueError(f"--{option} {text}", f"{path} is not a block device")
    return {"major": node["major"], "minor": node["minor"], **value}


def ulimit(text: str) -> Rlimit:
    """Return ``nofile=1024:2048`` as an OCI rlimit; -1 or ``unlimited`` means no limit; see getrlimit(2)."""
    name, values = pair("ulimit", text, "=", "write nofile=1024 or nofile=1024:2048")
    soft, _, hard = values.partition(":")
    kind = f"RLIMIT_{name.upper()}"
    try:
        rlimits.number(kind)
    except UsageError as error:
        raise UsageError(f"--ulimit {text}", error.cause, error.cure) from error
    low, high = _limit(text, soft), _limit(text, hard or soft)
    if (low % (1 << 64)) > (high % (1 << 64)):
        raise UsageError(f"--ulimit {text}", "the soft limit is above the hard one")
    return {"type": kind, "soft": low, "hard": high}


def _limit(text: str, word: str) -> int:
    return -1 if word == "unlimited" else whole("ulimit", word, -1, (1 << 63) - 1) if word else _no_limit(text)


def _no_limit(text: str) -> int:
    raise UsageError(f"--ulimit {text}", "names no limit", "write nofile=1024")
