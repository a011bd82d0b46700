"""Resource control of Intel's RDT and AMD's QoS (OCI's intelRdt): shares of the L3 cache and of memory bandwidth.

The file system resctrl has a directory for each class of service (CLOS): its file ``schemata`` says what the class may
use, and ``tasks`` lists its processes. Below ``mon_groups``, processes of a class are measured. See the kernel's
Documentation/filesystems/resctrl.rst.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, UsageError
from tinybox.linux import proc
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ROOT = "/"  # the value of closID that means the class to which every process belongs first
_FIELD = "linux.intelRdt"


def check(settings: Mapping[str, Any]) -> None:
    """Raise UsageError, with the field, for a value that the specification forbids."""
    name = settings.get("closID", "")
    if name != ROOT and ("/" in name or name in (".", "..") or name in ("info", "mon_groups", "mon_data")):
        raise UsageError(f"{_FIELD}.closID", f"{name!r} is not the name of a class of service", "a name without /")
    bandwidth = settings.get("memBwSchema", "")
    if bandwidth and not bandwidth.startswith("MB:"):
        raise UsageError(f"{_FIELD}.memBwSchema", "does not begin with MB:", "such as MB:0=20;1=70")
    if "\n" in bandwidth:
        raise UsageError(f"{_FIELD}.memBwSchema", "has more than one line")
    for number, line in enumerate(settings.get("schemata", ())):
        if "\n" in line:
            raise UsageError(f"{_FIELD}.schemata[{number}]", "has more than one line", "an entry for each line")


def mount_point() -> str:
    """Return where resctrl is mounted; HostError: nowhere, or this processor has no resource control."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for mount in proc.mountinfo(file.read()):
            if mount.type == "resctrl" and mount.root == "/":
                return mount.point
    raise HostError(_FIELD, "the file system resctrl is not mounted", "mount -t resctrl resctrl /sys/fs/resctrl")


class ClassOfService:
    """The class of a container with this id. The mount point *top* of resctrl is searched when it is needed."""

    def __init__(self, settings: Mapping[str, Any], container: str, top: str = "") -> None:
        self.settings, self.container, self._top = settings, container, top
        self.made: list[str] = []  # directories, for undo
        self.name = settings.get("closID", "") or container
        self.own = not settings.get("closID")  # only a class that is named after the container is removed with it

    @property
    def path(self) -> str:
        """The directory of the class."""
        self._top = self._top or mount_point()
        return self._top if self.name == ROOT else os.path.join(self._top, self.name)

    @property
    def monitor(self) -> str:
        """The directory of the group that measures the container; empty if nothing is measured."""
        return os.path.join(self.path, "mon_groups", self.container) if self.settings.get("enableMonitoring") else ""

    def lines(self) -> list[str]:
        """Return the lines for the file ``schemata``, in the order in which they are written."""
        old = [self.settings.get(field, "") for field in ("l3CacheSchema", "memBwSchema")]
        return [line for text in (*old, *self.settings.get("schemata", ())) for line in text.split("\n") if line]

    def prepare(self) -> None:
        """Make the class, or check an existing one, and make the group that measures; HostError: it is not possible."""
        lines = self.lines()
        try:
            if not os.path.isdir(self.path):
                self._make(lines)
            elif self.own:
                raise HostError(f"resctrl {self.path}", "it exists already", "use another id, or name a closID")
            else:
                self._compare(lines)
            if self.monitor:
                os.mkdir(self.monitor)
                self.made.append(self.monitor)
        except OSError as error:
            raise HostError(f"resctrl {error.filename or self.path}", (error.strerror or "").lower()) from error

    def _make(self, lines: list[str]) -> None:
        if not self.own and not lines:
            raise HostError(f"{_FIELD}.closID", f"there is no class {self.path}", "make it first, or give schemata")
        os.mkdir(self.path)
        self.made.append(self.path)
        for line in lines:
            self._write("schemata", line)

    def _compare(self, lines: list[str]) -> None:
        """Raise HostError if the existing class has other values than *lines*: other containers rely on these."""
        with open(os.path.join(self.path, "schemata"), encoding="utf-8") as file:
            present = {_parsed(line) for line in file}
        for line in lines:
            name, shares = _parsed(line)
            if not any(name == other and set(shares) <= set(theirs) for other, theirs in present):
                cause = f"the class {self.path} has other values than {line}"
                raise HostError(f"{_FIELD}.schemata", cause, "use its values, or another closID")

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.path, name)
        try:
            files.write_once(os.open(path, os.O_WRONLY | os.O_CLOEXEC), f"{text}\n".encode())
        except OSError as error:
            raise HostError(f"{_FIELD}: {text}", f"{path}: {(error.strerror or '').lower()}") from error

    def join(self, pid: int) -> None:
        """Put process *pid* into the class, and into the group that measures it."""
        for folder in filter(None, (self.path, self.monitor)):
            path = os.path.join(folder, "tasks")
            try:
                files.write_once(os.open(path, os.O_WRONLY | os.O_CLOEXEC), str(pid).encode())
            except OSError as error:
                raise HostError(f"resctrl {path}", (error.strerror or "").lower()) from error

    def undo(self) -> None:
        """Remove what prepare() has made."""
        for path in reversed(self.made):
            files.discard(path, remove=os.rmdir)

    def remove(self) -> None:
        """Remove the group that measures the container, and a class that is the container's own."""
        for path in filter(None, (self.monitor, self.path if self.own else "")):
            files.discard(path, remove=os.rmdir)


def _parsed(line: str) -> tuple[str, tuple[str, ...]]:
    """Return the resource and the shares of a line such as ``L3:0=7f0;1=1f``; leading zeros mean nothing."""
    name, _, rest = line.strip().partition(":")
    shares = []
    for share in rest.split(";"):
        place, _, value = share.partition("=")
        shares.append(f"{place.strip().lstrip('0') or '0'}={value.strip().lower().lstrip('0') or '0'}")
    return name.strip(), tuple(shares)
