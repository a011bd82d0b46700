"""The labels of security modules, AppArmor and SELinux: a plan refuses those of a module that is not active here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task


def check(task: Task) -> None:
    """Raise HostError if the process has a label of a security module that is not active on this host."""
    requested = {
        "process.apparmorProfile": task.process.get("apparmorProfile"),
        "process.selinuxLabel": task.process.get("selinuxLabel"),
        "linux.mountLabel": task.linux.get("mountLabel"),
    }
    if any(requested.values()):
        from tinybox.isolation import labels as modules

        for field in filter(requested.get, requested):
            modules.check(field)
