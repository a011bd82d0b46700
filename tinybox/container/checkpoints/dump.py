"""Dump a running container: criu stops its processes, writes them to files, and ends them or lets them go on.

criu works from outside: it stops the processes by ptrace(2), reads what /proc shows of them, and lets each process read
the rest about itself. If criu fails, it lets the processes go on, as if nothing had happened.
"""

from __future__ import annotations

import os

from tinybox.container.checkpoints import messages, outside
from tinybox.container.checkpoints.criu import DUMP_LOG, Criu
from tinybox.container.checkpoints.files import Notes
from tinybox.errors import HostError
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.checkpoints.messages import Value
    from tinybox.container.records.spec_types import Spec

NETWORK = "extRootNetNS"  # the key of the network namespace in criu's images; runc has the same
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # they wait until the dump is complete


def notes(config: Spec, pid: int, pids: list[int], addresses: dict[str, str] | None = None) -> Notes:
    """Return what the container with the first process *pid*, and all processes *pids*, has from outside."""
    living = outside.mounts(pid)
    network = "" if outside.same_namespace(pid, "network") else NETWORK
    return Notes(
        outside.external_mounts(config, living),
        outside.external_files(pids, living),
        outside.streams(pid),
        network,
        terminal=bool(config["process"].get("terminal")),
        addresses=addresses,
    )


def dump(program: str, pid: int, known: Notes, folder: str, work: str, options: dict[str, bool | str]) -> None:
    """Let the criu at the path *program* dump the process tree of *pid* into *folder*, with its log in *work*.

    *options* are fields of criu_opts. HostError: criu has failed, and the processes go on.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    criu, opened = Criu(program, work, DUMP_LOG), list[int]()
    try:
        for path in (folder, work):
            opened.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        fields = dict(options)
        kind = messages.PRE_DUMP if fields.pop("pre_dump", False) else messages.DUMP
        criu.spawn()
        criu.ask(kind, _settings(pid, known, *opened) | fields)
        criu.hear()
    except OSError as error:
        raise HostError("criu", f"{error.filename or program}: {error.strerror}") from error
    finally:
        for fd in opened:
            os.close(fd)
        criu.reap()
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _settings(pid: int, known: Notes, images: int, work: int) -> dict[str, Value | list[bytes]]:
    """Return the options of criu that follow from the container; the others are the user's."""
    external = [f"mnt[{point}]:{point}" for point in known.mounts]
    external += known.files
    if known.network:
        external.append(f"net[{outside.inode(f'/proc/{pid}/ns/net')}]:{NETWORK}")
    return {
        "images_dir_fd": images,
        "work_dir_fd": work,
        "pid": pid,
        "external": [os.fsencode(each) for each in external],
        "ext_masters": True,
        "manage_cgroups_mode": messages.IGNORE,
        "orphan_pts_master": True,
    }
