"""stats: a container's use of CPU, memory, processes and disk (from its control group) and network (from its devices).

The kernel shows sums since the start. The current use of CPU is the difference between two samples, divided by the time
between them.
"""

from __future__ import annotations

import os
import time

from tinybox.errors import StateError
from tinybox.isolation.cgroups import files, stats
from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinybox.container.views.listing import Listed

    Pair = tuple["Sample", "Sample | None"]  # a sample and the one before it

INTERVAL = 1.0  # seconds between two samples


class Sample:
    """One sample of a container's statistics; a value that this host does not count is None.

    *cpu* is CPU time in ns since the start; *memory*, *network* (received, sent) and *disk* (read, written) in bytes.
    """

    def __init__(self, listed: Listed) -> None:
        self.listed, self.time = listed, time.monotonic_ns()
        counted = stats.stats(listed.group) if listed.is_alive else {}
        self.cpu = counted.get("cpu_usage")
        self.memory = _memory(listed, counted.get("memory")) if counted else None
        self.memory_limit = (counted.get("memory_limit") or total_memory()) if counted else None
        self.pids = _pids(listed, counted.get("pids")) if counted else None
        self.network = network(listed.state["pid"]) if counted else (None, None)
        self.disk = counted.get("io_read"), counted.get("io_written")

    def cpu_share(self, former: Sample | None) -> float | None:
        """Return the CPUs used since the *former* sample: 2.0 means two whole CPUs; None if that is unknown."""
        if former is None or self.cpu is None or former.cpu is None or self.time <= former.time:
            return None
        return max(self.cpu - former.cpu, 0) / (self.time - former.time)

    @property
    def memory_share(self) -> float | None:
        """The memory in use as a fraction of the limit, or of the machine's memory if there is no limit."""
        return None if self.memory is None or not self.memory_limit else self.memory / self.memory_limit


def pairs(choose: Callable[[], list[Listed]], seconds: float = INTERVAL) -> Iterator[list[Pair]]:
    """Yield a sample of each container that *choose* returns, every *seconds*, with its sample before, if there is one.

    The first samples are taken now and not yielded. The end is when *choose* raises StateError later: a container has
    been removed.
    """
    former = {listed.id: Sample(listed) for listed in choose()}
    while True:
        time.sleep(seconds)
        try:
            samples = [*map(Sample, choose())]
        except StateError:
            return
        yield [(sample, former.get(sample.listed.id)) for sample in samples]
        former = {sample.listed.id: sample for sample in samples}


def _memory(listed: Listed, counted: int | None) -> int | None:
    """Return the memory in use in bytes, without the inactive part of the page cache, as docker counts it.

    If no memory controller counts (a hybrid host, and no limit was set), the sum of the processes' proportional set
    sizes is returned. See memory.stat in cgroups(7) and proc_pid_smaps(5).
    """
    if counted is None:
        return sum(_proportional_set_size(pid) for pid in listed.processes())
    stat = files.keyed(listed.group.read("memory", "memory.stat"))
    return max(counted - stat.get("total_inactive_file", stat.get("inactive_file", 0)), 0)


def _proportional_set_size(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _pids(listed: Listed, counted: int | None) -> int:
    """Return the number of tasks: that of ``pids.current``, or the number of all threads of all processes."""
    if counted is not None:
        return counted
    return sum(_threads(pid) for pid in listed.processes())


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:
        return 0


def network(pid: int) -> tuple[int | None, int | None]:
    """Return the bytes that the container's network devices, except ``lo``, have received and sent.

    (None, None) if the container shares the host's network: the devices are the host's then. See proc_pid_net(5).
    """
    try:
        if proc.link(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            return None, None
    except (FileNotFoundError, ProcessLookupError):
        return None, None
    rows = [line.partition(":")[::2] for line in _read(f"/proc/{pid}/net/dev").splitlines() if ":" in line]
    counts = [words.split() for device, words in rows if device.strip() != "lo"]
    return sum(int(count[0]) for count in counts), sum(int(count[8]) for count in counts)


def total_memory() -> int:
    """Return the memory of this machine in bytes; see sysconf(3)."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(path: str) -> str:
    """Return the text of a file of /proc; an empty string if its process has just ended."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""
