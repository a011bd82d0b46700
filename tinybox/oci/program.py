"""What `create` and `exec` do alike for their program: complete its config.json, and hand its pid to the engine."""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.linux.filesystem import own_files
from tinybox.oci.command_line import listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec_types import Process, User
    from tinybox.oci.command_line import CommandLine


def complete(process: Process, command: CommandLine, root: str) -> Process:
    """Return *process* with the values that a runtime adds.

    These are HOME of its user, the caller's umask if the config has none, and LISTEN_FDS if tinybox was started by
    socket activation; see sd_listen_fds(3). UsageError: a descriptor of --preserve-fds is not open.
    """
    mask = os.umask(0o022)  # for the files that this process makes
    user: User = {"umask": mask, **process.get("user", {})}
    environment = list(process.get("env", []))
    if not any(line.startswith("HOME=") for line in environment):
        from tinybox.container.config import user_option  # late: an engine has set HOME

        environment.append(f"HOME={user_option.home(user.get('uid', 0), [root])}")
    if sockets := listening():
        environment += [f"LISTEN_FDS={sockets}", "LISTEN_PID=1"]
    if command.kept < command.inherited:
        raise UsageError("--preserve-fds", f"file descriptor {3 + command.kept} is not open")
    for fd in range(3, 3 + command.kept):
        os.set_inheritable(fd, True)
    return {**process, "user": user, "env": environment}


def hand_over(command: CommandLine, handles: Handles) -> None:
    """Send a pidfd of the new process to --pidfd-socket, and write its pid into --pid-file.

    The file is made by rename(2): the engine may wait for it, and must not see a part of it.
    """
    if command.value("pidfd-socket"):
        from tinybox.oci import descriptor

        descriptor.send_pidfd(command, handles)
    if path := command.value("pid-file"):
        own_files.replace(path, str(handles.pid).encode(), 0o644)
