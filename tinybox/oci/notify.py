"""The socket on which a service tells its manager that it is ready; see sd_notify(3).

The manager names a socket in NOTIFY_SOCKET, and an engine such as podman (`--sdnotify=container`) leaves that variable
to the runtime. The socket is bind-mounted into the container: so its program sends to the manager itself, without a
process of tinybox between them. A socket without a file (its name begins with @) cannot be mounted.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec_types import Mount, Spec

VARIABLE, INSIDE = "NOTIFY_SOCKET", "/run/notify/notify.sock"  # the path inside is runc's
_OPTIONS = ("bind", "nosuid", "noexec", "nodev")


def passed_on(config: Spec) -> Spec:
    """Return *config* with the mount and the variable of the caller's socket; unchanged if the caller names none.

    A container that has a variable of this name, or a mount at this place, keeps its own.
    """
    socket, process = os.environ.get(VARIABLE, ""), config["process"]
    if not socket.startswith("/") or not _is_socket(socket):
        return config
    has_own = any(line.startswith(f"{VARIABLE}=") for line in process.get("env") or ())
    if has_own or any(entry["destination"].rstrip("/") == INSIDE for entry in config.get("mounts") or ()):
        return config
    entry: Mount = {"destination": INSIDE, "type": "bind", "source": socket, "options": list(_OPTIONS)}
    environment = [*(process.get("env") or ()), f"{VARIABLE}={INSIDE}"]
    return {**config, "process": {**process, "env": environment}, "mounts": [*(config.get("mounts") or ()), entry]}


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
