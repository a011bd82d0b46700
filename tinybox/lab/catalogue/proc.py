"""/proc shows a process's resources; some files are not namespaced.

/proc shows the processes of a pid namespace, so a box sees only its own. But meminfo and cpuinfo describe the whole
machine: there is no namespace for them. A program in a box that takes a share of "all memory" takes a share of the
host's memory, and is killed at a limit that it has not read: the limit is in its control group.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups.out_of_memory import memory_limit
from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

MIB = 1 << 20


def total(meminfo: str) -> int:
    """Return MemTotal of /proc/meminfo in bytes; see proc_meminfo(5)."""
    return int(meminfo.partition("MemTotal:")[2].split()[0]) * 1024


def check(bench: Bench, *, feature: bool) -> None:
    """Read the same files on both sides, and the limit beside them."""
    limits = {"memory": "32m", "cpuset_cpus": str(min(os.sched_getaffinity(0)))} if feature else {}
    with bench.box("sh", "-c", "echo here; read line", **limits) as box:
        box.read_line()
        host_total = bench.on_host("MemTotal", total(look.text("/proc/meminfo")), "/proc/meminfo")
        box_total = bench.in_box("MemTotal", total(box.run("cat", "/proc/meminfo").output), "/proc/meminfo")
        limit = memory_limit(box.container.cgroup)
        bench.on_host("its memory limit", limit, "memory.max, or v1's memory.limit_in_bytes, of its group")
        cpus = look.text("/proc/cpuinfo").count("processor\t")
        bench.on_host("processors", cpus, "grep -c ^processor /proc/cpuinfo")
        shown = int(box.run("grep", "-c", "^processor", "/proc/cpuinfo").output)
        bench.in_box("processors", shown, "grep -c ^processor /proc/cpuinfo")
        allowed = look.status(box.program, "Cpus_allowed_list")
        bench.in_box("allowed", allowed, "Cpus_allowed_list in /proc/self/status")
        usable = int(box.run("nproc").output)
        bench.in_box("nproc", usable, "nproc")
        may_use = len(os.sched_getaffinity(box.program))
        bench.on_host("CPUs that its program may use", may_use, f"taskset -p {box.program}; sched_getaffinity(2)")
        bench.on_host("VmRSS", look.status(box.program, "VmRSS"), f"/proc/{box.program}/status")
        inner = look.status(box.program, "NSpid").split()[-1]
        bench.in_box(
            "VmRSS", box.run("grep", "VmRSS", f"/proc/{inner}/status").output.partition(":")[2], f"/proc/{inner}/status"
        )
        everyone = bench.on_host("processes", sum(map(str.isdecimal, os.listdir("/proc"))), "ls -d /proc/[0-9]*")
        own = len(box.run("sh", "-c", "echo /proc/[0-9]*").output.split())
        bench.in_box("processes", own, "ls -d /proc/[0-9]*")
    bench.claim("MemTotal inside is the host's", box_total == host_total)
    bench.claim("the processors inside are the host's", shown == cpus)
    bench.claim("but nproc counts the CPUs that the box may use", usable == may_use)
    bench.claim("although the box's limit is far below", limit is not None and limit == 32 * MIB < box_total)
    bench.claim("the processes are namespaced: the box lists only its own", own < 6 and own <= everyone)


LAB = Lab(
    question="A box is limited to 32 MiB and one CPU. What does `free` (/proc/meminfo) show inside, and /proc/cpuinfo?",
    answer="The host's whole memory and all its CPUs: meminfo and cpuinfo belong to no namespace. The limits of a box"
    " are in its control group (memory.max), and in Cpus_allowed_list, which nproc counts.",
    control="no limits: then the box may use all that MemTotal shows",
    check=check,
)
