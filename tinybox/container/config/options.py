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
    """One option of ``run``: a row of the table.

    The command line, the Python API, docs/cli.md and the table of the README are made from *group*, *name*
    (``--name``), *short* letter, *kind*, *metavar* (the name of its value) and *help*. The other fields are optional:

    - *update*: `tinybox update` also accepts the option.
    - *compose*: the key of a compose file that takes the same value; with *mapping* also ``{NAME: VALUE}``. A key whose
      value is translated has a function in compose/service_keys.py instead.
    - *field*: the field of config.json that holds the value. *parser* writes it there: the name of a function in
      option_values.py and its further arguments, after the option's name and the text. Without *parser*, another file
      of this folder writes the field.
    - *inspect*: the field of docker's ``HostConfig`` that shows *field*, and its value without the option.
    - *terminal*: only the command line carries the option out; `tinybox.run` in Python refuses it.
    - *offer*: the function in cli/completion.py that offers values for it to the shell.
    """

    __slots__ = tuple(
        "group name short kind metavar help update compose mapping field parser inspect terminal offer".split()
    )

    def __init__(
        self,
        group: str,
        name: str,
        short: str,
        kind: str,
        metavar: str,
        help: str,  # noqa: A002
        *,
        update: bool = False,
        compose: str = "",
        mapping: bool = False,
        field: str = "",
        parser: tuple[Any, ...] = (),
        inspect: tuple[str, Any] = ("", None),
        terminal: bool = False,
        offer: str = "",
    ) -> None:
        self.group, self.name, self.short, self.kind = group, name, short, kind
        self.metavar, self.help = metavar, help
        self.update, self.compose, self.mapping = update, compose, mapping
        self.field, self.parser, self.inspect = field, parser, inspect
        self.terminal, self.offer = terminal, offer

    @property
    def key(self) -> str:
        """Return the name as Python writes it: ``memory_swap``."""
        return self.name.replace("-", "_")

    @property
    def path(self) -> list[str]:
        """Return *field* as a list of keys; the name of an annotation is one key, although it has dots."""
        return self.field.split(".", 1 if self.field.startswith("annotations.") else -1)


# Formatted by hand: first the option and its help, then the optional fields.
# fmt: off
OPTIONS = [
    Option("life", "name", "", TEXT, "NAME", "Name the container; a name is made up otherwise"),
    Option("life", "detach", "d", FLAG, "", "Run in the background and print the container's id", terminal=True),
    Option("life", "cidfile", "", TEXT, "FILE", "Write the container's id to FILE, which must not exist",
           field="annotations.tinybox.cidfile", inspect=("ContainerIDFile", ""), offer="files"),
    Option("life", "pull", "", TEXT, "WHEN", "Make the image by its recipe: missing (default), always or never",
           terminal=True),
    Option("life", "rm", "", FLAG, "", "Remove the container and all it wrote when it ends"),
    Option("life", "interactive", "i", FLAG, "", "Keep stdin open (default: on a terminal)", compose="stdin_open"),
    Option("life", "tty", "t", FLAG, "", "Give it a terminal (default: when stdin and stdout are one)", compose="tty"),
    Option("life", "init", "", TEXT, "MODE", "PID 1: forward (reap, forward signals; default), reap, or none"),
    Option("life", "stop-signal", "", TEXT, "SIGNAL", "The signal that asks it to stop (default: the image's, or TERM)",
           compose="stop_signal"),
    Option("life", "stop-timeout", "", TEXT, "SECONDS", "How long it may take to stop before KILL (default 10)"),
    Option("life", "restart", "", TEXT, "POLICY",
           "Start it again: no (default), on-failure[:N], always, unless-stopped",
           update=True, compose="restart"),
    Option("life", "health-cmd", "", TEXT, "COMMAND", "Run COMMAND in the box now and then; 0 means healthy"),
    Option("life", "health-interval", "", TEXT, "TIME", "Time between two checks (default 30s)"),
    Option("life", "health-timeout", "", TEXT, "TIME", "How long one check may take (default 30s)"),
    Option("life", "health-retries", "", TEXT, "NUMBER", "Failures in a row that make it unhealthy (default 3)"),
    Option("life", "health-start-period", "", TEXT, "TIME", "Failures in this time after the start do not count"),
    Option("life", "health-start-interval", "", TEXT, "TIME", "Time between checks until then (default: 5s, or less)"),
    Option("life", "no-healthcheck", "", FLAG, "", "Do not run the image's own check"),
    Option("life", "log-opt", "", LIST, "KEY=VALUE", "max-size=SIZE or max-file=NUMBER of the log (detached only)"),
    Option("life", "env", "e", LIST, "NAME[=VALUE]", "Set a variable; without a value, pass ours on"),
    Option("life", "env-file", "", LIST, "FILE", "Read variables from a file", offer="files"),
    Option("life", "workdir", "w", TEXT, "DIR", "The directory to start in", compose="working_dir"),
    Option("life", "user", "u", TEXT, "USER[:GROUP]", "Run as this user; names are looked up in the image",
           compose="user"),
    Option("life", "group-add", "", LIST, "GROUP", "One more group of that user, by name or number",
           compose="group_add"),
    Option("life", "entrypoint", "", TEXT, "PROGRAM", "Run this instead of the image's entrypoint"),
    Option("life", "hostname", "h", TEXT, "NAME", "Its host name (default: the short id)", compose="hostname"),
    Option("life", "label", "l", LIST, "KEY[=VALUE]", "Attach a label", compose="labels", mapping=True),
    Option("limits", "memory", "m", TEXT, "SIZE", "Memory limit, for example 32m; at least 6m",
           update=True, compose="mem_limit", field="linux.resources.memory.limit", inspect=("Memory", 0)),
    Option("limits", "memory-reservation", "", TEXT, "SIZE", "What it is to keep when the host runs short of memory",
           update=True, compose="mem_reservation", field="linux.resources.memory.reservation",
           inspect=("MemoryReservation", 0)),
    Option("limits", "memory-swap", "", TEXT, "SIZE", "Memory and swap together; -1: no limit on swap",
           update=True, compose="memswap_limit", field="linux.resources.memory.swap", inspect=("MemorySwap", 0)),
    Option("limits", "cpus", "", TEXT, "NUMBER", "CPU time, for example 0.2 of one CPU", update=True, compose="cpus"),
    Option("limits", "cpu-quota", "", TEXT, "MICROSECONDS", "CPU time in each period, or -1: --cpus in other words",
           update=True, compose="cpu_quota"),
    Option("limits", "cpu-period", "", TEXT, "MICROSECONDS", "The period, from 1000 to 1000000 (default 100000)",
           update=True, compose="cpu_period"),
    Option("limits", "cpu-shares", "", TEXT, "NUMBER", "CPU weight against other containers (default 1024)",
           update=True, compose="cpu_shares", parser=("limit", 2, 262_144), field="linux.resources.cpu.shares",
           inspect=("CpuShares", 0)),
    Option("limits", "cpuset-cpus", "", TEXT, "CPUS", "The CPUs to use, for example 0-1 or 0,3",
           update=True, compose="cpuset", parser=("cpus",), field="linux.resources.cpu.cpus",
           inspect=("CpusetCpus", "")),
    Option("limits", "cpuset-mems", "", TEXT, "NODES", "The memory nodes to use, for example 0",
           update=True, parser=("cpus", "memory nodes"), field="linux.resources.cpu.mems", inspect=("CpusetMems", "")),
    Option("limits", "pids-limit", "", TEXT, "NUMBER", "How many processes at once; -1: no limit",
           update=True, compose="pids_limit", parser=("limit", -1, 1 << 22), field="linux.resources.pids.limit",
           inspect=("PidsLimit", None)),
    Option("limits", "device-read-bps", "", LIST, "PATH:RATE",
           "Limit reading from a block device, for example /dev/sda:1m"),
    Option("limits", "device-write-bps", "", LIST, "PATH:RATE", "Limit writing to a block device"),
    Option("limits", "ulimit", "", LIST, "TYPE=SOFT[:HARD]", "A limit of each process, for example nofile=1024"),
    Option("limits", "oom-score-adj", "", TEXT, "NUMBER", "How gladly the OOM killer takes it, -1000 to 1000",
           compose="oom_score_adj", parser=("whole", -1000, 1000), field="process.oomScoreAdj",
           inspect=("OomScoreAdj", 0)),
    Option("limits", "shm-size", "", TEXT, "SIZE", "Size of /dev/shm (default 64m)", compose="shm_size"),
    Option("files", "volume", "v", LIST, "SRC:DST[:ro]", "Show a host directory, file or named volume at DST"),
    Option("files", "mount", "", LIST, "KEY=VALUE,...",
           "The same in full: type=bind|tmpfs|volume,source=,target=,readonly"),
    Option("files", "volumes-from", "", LIST, "CONTAINER[:ro]", "Mount the volumes and binds of another container",
           offer="containers"),
    Option("files", "tmpfs", "", LIST, "DST[:OPTIONS]", "An empty file system in memory at DST", compose="tmpfs"),
    Option("files", "read-only", "", FLAG, "", "Make the root file system read-only",
           compose="read_only", field="root.readonly", inspect=("ReadonlyRootfs", False)),
    Option("files", "device", "", LIST, "SRC[:DST[:rwm]]", "Give it a device of the host", compose="devices"),
    Option("files", "device-cgroup-rule", "", LIST, "RULE", "Let it use devices by number, for example 'c 42:* rwm'",
           compose="device_cgroup_rules"),
    Option("namespaces", "uts", "", TEXT, "MODE", "Host name: private, host, or container:NAME", compose="uts"),
    Option("namespaces", "pid", "", TEXT, "MODE", "Processes: private, host, or container:NAME"),
    Option("namespaces", "ipc", "", TEXT, "MODE", "Queues, semaphores, /dev/shm: private, host, or container:NAME"),
    Option("namespaces", "cgroupns", "", TEXT, "MODE", "Control groups: private, host, or container:NAME",
           compose="cgroup"),
    Option("namespaces", "userns", "", TEXT, "MODE", "Users: host (default), private, or container:NAME",
           compose="userns_mode"),
    Option("network", "network", "", LIST, "NAME",
           "A network: bridge (default), one of its own, none, host, container:NAME", offer="networks"),
    Option("network", "ip", "", TEXT, "ADDRESS", "Its IPv4 address in the first network that users made"),
    Option("network", "ip6", "", TEXT, "ADDRESS", "Its IPv6 address there"),
    Option("network", "mac-address", "", TEXT, "ADDRESS",
           "The address of its card there, for example 02:42:ac:12:00:09", compose="mac_address"),
    Option("network", "network-alias", "", LIST, "NAME", "One more name for the boxes beside it"),
    Option("network", "dns", "", LIST, "ADDRESS", "A name server instead of the host's", compose="dns"),
    Option("network", "dns-search", "", LIST, "DOMAIN", "A domain to look names up in; . is none",
           compose="dns_search"),
    Option("network", "dns-option", "", LIST, "OPTION", "An option of resolv.conf, for example ndots:2",
           compose="dns_opt"),
    Option("network", "add-host", "", LIST, "NAME:ADDRESS", "One more line in /etc/hosts; host-gateway is the host"),
    Option("network", "publish", "p", LIST, "[[ADDRESS:]HOST:]BOX",
           "Let a port of the host lead into the box: 8080:80"),
    Option("network", "publish-all", "P", FLAG, "", "The same for all exposed ports, by free ports of the host"),
    Option("network", "expose", "", LIST, "PORT", "Say that the program listens on this port"),
    Option("rights", "cap-add", "", LIST, "CAPABILITY", "Add a capability to docker's default set; ALL: every one",
           compose="cap_add"),
    Option("rights", "cap-drop", "", LIST, "CAPABILITY", "Take a capability away; ALL: every one", compose="cap_drop"),
    Option("rights", "privileged", "", FLAG, "", "All capabilities, all devices, nothing covered",
           compose="privileged"),
    Option("rights", "security-opt", "", LIST, "OPTION", "no-new-privileges, or seccomp=unconfined or =FILE",
           compose="security_opt"),
    Option("rights", "sysctl", "", LIST, "NAME=VALUE", "Set a kernel parameter of its namespaces",
           compose="sysctls", mapping=True, field="linux.sysctl", inspect=("Sysctls", {})),
    Option("seeing", "dry-run", "", FLAG, "", "Print the plan and do nothing; needs no root", terminal=True),
    Option("seeing", "bundle", "", TEXT, "DIR", "Write an OCI bundle to DIR and stop", terminal=True),
    Option("seeing", "explain", "", MAYBE, "[FORM]", "Tell each step as it happens: text (default), json, html",
           terminal=True),
    Option("seeing", "step", "", FLAG, "", "Stop before each step, and go on by a key: Enter, s, i, c, q",
           terminal=True),
    Option("seeing", "break-at", "", LIST, "STEP[,STEP]", "Stop before these steps alone, by name or manual page",
           terminal=True),
    Option("seeing", "omit", "", LIST, "WHAT[,WHAT]",
           "Leave a wall out, safely: `tinybox explain` lists what can be omitted", terminal=True),
    Option("seeing", "chroot", "", FLAG, "", "Take chroot(2) in place of pivot_root(2), and see what that is worth",
           terminal=True),
    Option("seeing", "output", "o", TEXT, "FILE", "Where --explain writes (default: stderr)",
           terminal=True, offer="files"),
]
# fmt: on
ALIASES = {"net": "network"}
BY_NAME = {option.name: option for option in OPTIONS} | {
    alias: option for alias, name in ALIASES.items() for option in OPTIONS if option.name == name
}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
OF_ONE_FIELD = [option for option in OPTIONS if option.parser]
