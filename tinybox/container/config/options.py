"""The options of ``run``, as data: one table, from which the command line, its help and the Python API are made.

The words are those of docker-run(1). A value is kept as it was written; `configure` gives it its meaning.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Options = dict[str, Any]  # the options of one run: key to a flag, a text or a list of texts, as they were written

FLAG, TEXT, LIST = "flag", "text", "list"
MAYBE = "maybe"  # with or without a value, which stands behind ``=`` only: ``--explain``, ``--explain=json``
WITHOUT = {"explain": "text"}  # what such an option means without a value


class Option:
    """One option: its *name* (``--name``), its *short* letter, its *kind*, what to call its value, and its help."""

    __slots__ = ("group", "help", "kind", "metavar", "name", "short")

    def __init__(self, group: str, name: str, short: str, kind: str, metavar: str, help: str) -> None:  # noqa: A002
        self.group, self.name, self.short, self.kind = group, name, short, kind
        self.metavar, self.help = metavar, help

    @property
    def key(self) -> str:
        """Return the name as Python writes it: ``memory_swap``."""
        return self.name.replace("-", "_")


OPTIONS = [
    Option(*row)
    for row in (
        ("life", "name", "", TEXT, "NAME", "Name the container; a name is made up otherwise"),
        ("life", "detach", "d", FLAG, "", "Run in the background and print the container's id"),
        ("life", "rm", "", FLAG, "", "Remove the container and all it wrote when it ends"),
        ("life", "interactive", "i", FLAG, "", "Keep stdin open (default: on a terminal)"),
        ("life", "tty", "t", FLAG, "", "Give it a terminal (default: when stdin and stdout are one)"),
        ("life", "init", "", TEXT, "MODE", "PID 1: forward (reap, forward signals; default), reap, or none"),
        ("life", "stop-signal", "", TEXT, "SIGNAL", "The signal that asks it to stop (default: the image's, or TERM)"),
        ("life", "stop-timeout", "", TEXT, "SECONDS", "How long it may take to stop before KILL (default 10)"),
        ("life", "restart", "", TEXT, "POLICY", "Start it again: no (default), on-failure[:N], always, unless-stopped"),
        ("life", "health-cmd", "", TEXT, "COMMAND", "Run COMMAND in the box now and then; 0 means healthy"),
        ("life", "health-interval", "", TEXT, "TIME", "Time between two checks (default 30s)"),
        ("life", "health-timeout", "", TEXT, "TIME", "How long one check may take (default 30s)"),
        ("life", "health-retries", "", TEXT, "NUMBER", "Failures in a row that make it unhealthy (default 3)"),
        ("life", "health-start-period", "", TEXT, "TIME", "Failures in this time after the start do not count"),
        ("life", "health-start-interval", "", TEXT, "TIME", "Time between checks until then (default: 5s, or less)"),
        ("life", "no-healthcheck", "", FLAG, "", "Do not run the image's own check"),
        ("life", "log-opt", "", LIST, "KEY=VALUE", "max-size=SIZE or max-file=NUMBER of the log (detached only)"),
        ("life", "env", "e", LIST, "NAME[=VALUE]", "Set a variable; without a value, pass ours on"),
        ("life", "env-file", "", LIST, "FILE", "Read variables from a file"),
        ("life", "workdir", "w", TEXT, "DIR", "The directory to start in"),
        ("life", "user", "u", TEXT, "USER[:GROUP]", "Run as this user; names are looked up in the image"),
        ("life", "group-add", "", LIST, "GROUP", "One more group of that user, by name or number"),
        ("life", "entrypoint", "", TEXT, "PROGRAM", "Run this instead of the image's entrypoint"),
        ("life", "hostname", "h", TEXT, "NAME", "Its host name (default: the short id)"),
        ("life", "label", "l", LIST, "KEY[=VALUE]", "Attach a label"),
        ("limits", "memory", "m", TEXT, "SIZE", "Memory limit, for example 32m; at least 6m"),
        ("limits", "memory-reservation", "", TEXT, "SIZE", "What it is to keep when the host runs short of memory"),
        ("limits", "memory-swap", "", TEXT, "SIZE", "Memory and swap together; -1: no limit on swap"),
        ("limits", "cpus", "", TEXT, "NUMBER", "CPU time, for example 0.2 of one CPU"),
        (
            "limits",
            "cpu-quota",
            "",
            TEXT,
            "MICROSECONDS",
            "CPU time in each period, or -1: --cpus in other words",
        ),
        ("limits", "cpu-period", "", TEXT, "MICROSECONDS", "The period, from 1000 to 1000000 (default 100000)"),
        ("limits", "cpu-shares", "", TEXT, "NUMBER", "CPU weight against other containers (default 1024)"),
        ("limits", "cpuset-cpus", "", TEXT, "CPUS", "The CPUs to use, for example 0-1 or 0,3"),
        ("limits", "cpuset-mems", "", TEXT, "NODES", "The memory nodes to use, for example 0"),
        ("limits", "pids-limit", "", TEXT, "NUMBER", "How many processes at once; -1: no limit"),
        (
            "limits",
            "device-read-bps",
            "",
            LIST,
            "PATH:RATE",
            "Limit reading from a block device, for example /dev/sda:1m",
        ),
        ("limits", "device-write-bps", "", LIST, "PATH:RATE", "Limit writing to a block device"),
        ("limits", "ulimit", "", LIST, "TYPE=SOFT[:HARD]", "A limit of each process, for example nofile=1024"),
        ("limits", "oom-score-adj", "", TEXT, "NUMBER", "How gladly the OOM killer takes it, -1000 to 1000"),
        ("limits", "shm-size", "", TEXT, "SIZE", "Size of /dev/shm (default 64m)"),
        ("files", "volume", "v", LIST, "SRC:DST[:ro]", "Show a host directory, file or named volume at DST"),
        (
            "files",
            "mount",
            "",
            LIST,
            "KEY=VALUE,...",
            "The same in full: type=bind|tmpfs|volume,source=,target=,readonly",
        ),
        ("files", "tmpfs", "", LIST, "DST[:OPTIONS]", "An empty file system in memory at DST"),
        ("files", "read-only", "", FLAG, "", "Make the root file system read-only"),
        ("files", "device", "", LIST, "SRC[:DST[:rwm]]", "Give it a device of the host"),
        ("files", "device-cgroup-rule", "", LIST, "RULE", "Let it use devices by number, for example 'c 42:* rwm'"),
        ("namespaces", "uts", "", TEXT, "MODE", "Host name: private, host, or container:NAME"),
        ("namespaces", "pid", "", TEXT, "MODE", "Processes: private, host, or container:NAME"),
        ("namespaces", "ipc", "", TEXT, "MODE", "Queues, semaphores, /dev/shm: private, host, or container:NAME"),
        ("namespaces", "cgroupns", "", TEXT, "MODE", "Control groups: private, host, or container:NAME"),
        ("namespaces", "userns", "", TEXT, "MODE", "Users: host (default), private, or container:NAME"),
        (
            "network",
            "network",
            "",
            LIST,
            "NAME",
            "A network: bridge (default), one of its own, none, host, container:NAME",
        ),
        ("network", "ip", "", TEXT, "ADDRESS", "Its IPv4 address in the first network that users made"),
        ("network", "ip6", "", TEXT, "ADDRESS", "Its IPv6 address there"),
        ("network", "mac-address", "", TEXT, "ADDRESS", "The address of its card there, for example 02:42:ac:12:00:09"),
        ("network", "network-alias", "", LIST, "NAME", "One more name for the boxes beside it"),
        ("network", "dns", "", LIST, "ADDRESS", "A name server instead of the host's"),
        ("network", "dns-search", "", LIST, "DOMAIN", "A domain to look names up in; . is none"),
        ("network", "dns-option", "", LIST, "OPTION", "An option of resolv.conf, for example ndots:2"),
        ("network", "add-host", "", LIST, "NAME:ADDRESS", "One more line in /etc/hosts; host-gateway is the host"),
        ("network", "publish", "p", LIST, "[[ADDRESS:]HOST:]BOX", "Let a port of the host lead into the box: 8080:80"),
        ("network", "publish-all", "P", FLAG, "", "The same for all exposed ports, by free ports of the host"),
        ("network", "expose", "", LIST, "PORT", "Say that the program listens on this port"),
        ("rights", "cap-add", "", LIST, "CAPABILITY", "Add a capability to docker's default set; ALL: every one"),
        ("rights", "cap-drop", "", LIST, "CAPABILITY", "Take a capability away; ALL: every one"),
        ("rights", "privileged", "", FLAG, "", "All capabilities, all devices, nothing covered"),
        ("rights", "security-opt", "", LIST, "OPTION", "no-new-privileges, or seccomp=unconfined or =FILE"),
        ("rights", "sysctl", "", LIST, "NAME=VALUE", "Set a kernel parameter of its namespaces"),
        ("seeing", "dry-run", "", FLAG, "", "Print the plan and do nothing; needs no root"),
        ("seeing", "bundle", "", TEXT, "DIR", "Write an OCI bundle to DIR and stop"),
        ("seeing", "explain", "", MAYBE, "[FORM]", "Tell each step as it happens: text (default), json, html"),
        ("seeing", "step", "", FLAG, "", "Stop before each step, and go on by a key: Enter, s, i, c, q"),
        ("seeing", "break-at", "", LIST, "STEP[,STEP]", "Stop before these steps alone, by name or manual page"),
        (
            "seeing",
            "omit",
            "",
            LIST,
            "WHAT[,WHAT]",
            "Leave a wall out, safely: `tinybox explain` lists what can be omitted",
        ),
        ("seeing", "chroot", "", FLAG, "", "Take chroot(2) in place of pivot_root(2), and see what that is worth"),
        ("seeing", "output", "o", TEXT, "FILE", "Where --explain writes (default: stderr)"),
    )
]
ALIASES = {"net": "network"}
BY_NAME = {option.name: option for option in OPTIONS} | {
    alias: option for alias, name in ALIASES.items() for option in OPTIONS if option.name == name
}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
