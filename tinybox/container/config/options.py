"""The options of ``run``, as data: one table for the command line, its help, the Python API, compose and inspect.

Names and values are those of docker-run(1). A value is kept as it was written; `configure` converts it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Options = dict[str, Any]  # the options of one run: key to a flag, a text or a list of texts, as they were written

FLAG, TEXT, LIST = "flag", "text", "list"
MAYBE = "maybe"  # with or without a value, which follows ``=`` only: ``--init``, ``--explain=json``
WITHOUT = {"explain": "text", "init": "forward"}  # the value of such an option without a value


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
    Option("life", "name", "", TEXT, "NAME", "The name of the container (default: a random one)"),
    Option("life", "detach", "d", FLAG, "", "Run in the background and print the container's id", terminal=True),
    Option("life", "attach", "a", LIST, "STREAM", "Attach only these: stdin, stdout, stderr (default: all)",
           terminal=True),
    Option("life", "sig-proxy", "", FLAG, "", "Pass signals on (default; =false: a signal ends only the command)",
           terminal=True),
    Option("life", "quiet", "q", FLAG, "", "Print nothing about the image that is pulled", terminal=True),
    Option("life", "runtime", "", TEXT, "NAME", "The OCI runtime: tinybox, the only one", terminal=True),
    Option("life", "detach-keys", "", TEXT, "KEYS", "The keys that detach from a terminal (default ctrl-p,ctrl-q)",
           terminal=True),
    Option("life", "cidfile", "", TEXT, "FILE", "Write the container's id to FILE, which must not exist",
           field="annotations.tinybox.cidfile", inspect=("ContainerIDFile", ""), offer="files"),
    Option("life", "pull", "", TEXT, "WHEN", "Make or pull the image: missing (default), always or never"),
    Option("life", "platform", "", TEXT, "OS/ARCH[/VARIANT]", "The image for this platform (default: this machine)",
           compose="platform"),
    Option("life", "rm", "", FLAG, "", "Remove the container and its files when it ends"),
    Option("life", "interactive", "i", FLAG, "", "Keep stdin open (default: on a terminal)", compose="stdin_open"),
    Option("life", "tty", "t", FLAG, "", "Give it a terminal (default: if stdin and stdout are one)", compose="tty"),
    Option("life", "init", "", MAYBE, "[MODE]",
           "PID 1: forward (reap, forward signals; also without --init), reap, or none"),
    Option("life", "stop-signal", "", TEXT, "SIGNAL", "The signal that `stop` sends (default: the image's, or TERM)",
           compose="stop_signal"),
    Option("life", "stop-timeout", "", TEXT, "SECONDS", "Seconds between the stop signal and KILL (default 10)"),
    Option("life", "restart", "", TEXT, "POLICY",
           "Restart it: no (default), on-failure[:N], always, unless-stopped",
           update=True, compose="restart"),
    Option("life", "health-cmd", "", TEXT, "COMMAND", "A command that is run at intervals; status 0 means healthy"),
    Option("life", "health-interval", "", TEXT, "TIME", "Time between two checks (default 30s)"),
    Option("life", "health-timeout", "", TEXT, "TIME", "The longest time of one check (default 30s)"),
    Option("life", "health-retries", "", TEXT, "NUMBER",
           "The box is unhealthy after so many failures in a row (default 3)"),
    Option("life", "health-start-period", "", TEXT, "TIME", "Failures in this time after the start are not counted"),
    Option("life", "health-start-interval", "", TEXT, "TIME",
           "Time between two checks in that time (default: 5s, or less)"),
    Option("life", "no-healthcheck", "", FLAG, "", "Do not run the health check of the image"),
    Option("life", "log-driver", "", TEXT, "DRIVER",
           "json-file (default), local (with limits), syslog, journald, or none: keep no log"),
    Option("life", "log-opt", "", LIST, "KEY=VALUE", "max-size=SIZE, max-file=NUMBER; tag=, syslog-address="),
    Option("life", "env", "e", LIST, "NAME[=VALUE]", "Set a variable; without a value, use that of the caller"),
    Option("life", "env-file", "", LIST, "FILE", "Read variables from a file", offer="files"),
    Option("life", "workdir", "w", TEXT, "DIR", "The working directory of the program", compose="working_dir"),
    Option("life", "user", "u", TEXT, "USER[:GROUP]", "Run as this user; names are looked up in the image",
           compose="user"),
    Option("life", "group-add", "", LIST, "GROUP", "An additional group of that user, by name or number",
           compose="group_add"),
    Option("life", "entrypoint", "", TEXT, "PROGRAM", "Run this in place of the image's entrypoint"),
    Option("life", "hostname", "h", TEXT, "NAME", "Its host name (default: the short id)", compose="hostname"),
    Option("life", "domainname", "", TEXT, "NAME", "Its domain name, after the host name in /etc/hosts",
           compose="domainname", field="domainname", parser=("domain_name",)),
    Option("life", "label", "l", LIST, "KEY[=VALUE]", "Attach a label", compose="labels", mapping=True),
    Option("life", "label-file", "", LIST, "FILE", "Read labels from a file", offer="files"),
    Option("life", "annotation", "", LIST, "NAME=VALUE", "Put an annotation into config.json",
           compose="annotations", mapping=True),
    Option("limits", "memory", "m", TEXT, "SIZE", "Memory limit, for example 32m; at least 6m",
           update=True, compose="mem_limit", field="linux.resources.memory.limit", inspect=("Memory", 0)),
    Option("limits", "memory-reservation", "", TEXT, "SIZE", "The memory that it keeps if the host needs memory",
           update=True, compose="mem_reservation", field="linux.resources.memory.reservation",
           inspect=("MemoryReservation", 0)),
    Option("limits", "memory-swap", "", TEXT, "SIZE", "Memory and swap together; -1: no limit on swap",
           update=True, compose="memswap_limit", field="linux.resources.memory.swap", inspect=("MemorySwap", 0)),
    Option("limits", "cpus", "", TEXT, "NUMBER",
           "CPU time in CPUs, for example 0.2 or 1.5", update=True, compose="cpus"),
    Option("limits", "cpu-quota", "", TEXT, "MICROSECONDS", "CPU time in each period; -1: no limit",
           update=True, compose="cpu_quota"),
    Option("limits", "cpu-period", "", TEXT, "MICROSECONDS",
           "The period of --cpu-quota, 1000 to 1000000 (default 100000)",
           update=True, compose="cpu_period"),
    Option("limits", "memory-swappiness", "", TEXT, "NUMBER", "How much the kernel swaps, 0 to 100 (cgroup v1 only)",
           compose="mem_swappiness", parser=("swappiness",), field="linux.resources.memory.swappiness",
           inspect=("MemorySwappiness", None)),
    Option("limits", "oom-kill-disable", "", FLAG, "", "Let processes wait for memory, not be killed (cgroup v1 only)",
           compose="oom_kill_disable", field="linux.resources.memory.disableOOMKiller",
           inspect=("OomKillDisable", None)),
    Option("limits", "cpu-shares", "c", TEXT, "NUMBER", "CPU weight relative to other containers (default 1024)",
           update=True, compose="cpu_shares", parser=("limit", 2, 262_144), field="linux.resources.cpu.shares",
           inspect=("CpuShares", 0)),
    Option("limits", "cpuset-cpus", "", TEXT, "CPUS", "The CPUs to use, for example 0-1 or 0,3",
           update=True, compose="cpuset", parser=("cpus",), field="linux.resources.cpu.cpus",
           inspect=("CpusetCpus", "")),
    Option("limits", "cpuset-mems", "", TEXT, "NODES", "The memory nodes to use, for example 0",
           update=True, parser=("cpus", "memory nodes"), field="linux.resources.cpu.mems", inspect=("CpusetMems", "")),
    Option("limits", "pids-limit", "", TEXT, "NUMBER", "The largest number of processes; -1: no limit",
           update=True, compose="pids_limit", parser=("limit", -1, 1 << 22), field="linux.resources.pids.limit",
           inspect=("PidsLimit", None)),
    Option("limits", "device-read-bps", "", LIST, "PATH:RATE",
           "Limit reading from a block device, for example /dev/sda:1m"),
    Option("limits", "device-write-bps", "", LIST, "PATH:RATE", "Limit writing to a block device"),
    Option("limits", "device-read-iops", "", LIST, "PATH:NUMBER", "Limit the reads from a block device in a second"),
    Option("limits", "device-write-iops", "", LIST, "PATH:NUMBER", "Limit the writes to a block device in a second"),
    Option("limits", "blkio-weight", "", TEXT, "NUMBER", "Weight at a busy disk, 10 to 1000 (needs the BFQ scheduler)",
           update=True, parser=("limit", 10, 1000), field="linux.resources.blockIO.weight",
           inspect=("BlkioWeight", 0)),
    Option("limits", "blkio-weight-device", "", LIST, "PATH:NUMBER", "The same for one block device"),
    Option("limits", "cgroup-parent", "", TEXT, "PATH", "Its control group is below this one (default: tinybox)",
           compose="cgroup_parent", field="annotations.tinybox.cgroup-parent", parser=("cgroup_parent",),
           inspect=("CgroupParent", "")),
    Option("limits", "ulimit", "", LIST, "TYPE=SOFT[:HARD]", "A limit of each process, for example nofile=1024"),
    Option("limits", "oom-score-adj", "", TEXT, "NUMBER",
           "The OOM killer prefers processes with a high number; -1000 to 1000",
           compose="oom_score_adj", parser=("whole", -1000, 1000), field="process.oomScoreAdj",
           inspect=("OomScoreAdj", 0)),
    Option("limits", "shm-size", "", TEXT, "SIZE", "Size of /dev/shm (default 64m)", compose="shm_size"),
    Option("files", "volume", "v", LIST, "SRC:DST[:ro]", "Mount a host directory, file or named volume at DST"),
    Option("files", "mount", "", LIST, "KEY=VALUE,...",
           "A mount: type=bind|tmpfs|volume|image,source=,target=,readonly"),
    Option("files", "volume-driver", "", TEXT, "NAME", "The driver of its volumes; there is only local"),
    Option("files", "volumes-from", "", LIST, "CONTAINER[:ro]", "Mount the volumes and binds of another container",
           offer="containers"),
    Option("files", "tmpfs", "", LIST, "DST[:OPTIONS]", "Mount an empty file system in memory at DST", compose="tmpfs"),
    Option("files", "read-only", "", FLAG, "", "Make the root file system read-only",
           compose="read_only", field="root.readonly", inspect=("ReadonlyRootfs", False)),
    Option("files", "device", "", LIST, "SRC[:DST[:rwm]]", "Make a device of the host available", compose="devices"),
    Option("files", "device-cgroup-rule", "", LIST, "RULE", "Permit devices by number, for example 'c 42:* rwm'",
           compose="device_cgroup_rules"),
    Option("namespaces", "uts", "", TEXT, "MODE",
           "UTS namespace (host name): private, host, or container:NAME", compose="uts"),
    Option("namespaces", "pid", "", TEXT, "MODE", "PID namespace: private, host, or container:NAME"),
    Option("namespaces", "ipc", "", TEXT, "MODE",
           "IPC namespace and /dev/shm: private, shareable, none, host, container:NAME"),
    Option("namespaces", "cgroupns", "", TEXT, "MODE", "Cgroup namespace: private, host, or container:NAME",
           compose="cgroup"),
    Option("namespaces", "userns", "", TEXT, "MODE",
           "User namespace: host (default), private, container:NAME, auto, keep-id, nomap", compose="userns_mode"),
    Option("network", "network", "", LIST, "NAME",
           "A network: bridge (default), a network's name, none, host, container:NAME", offer="networks"),
    Option("network", "ip", "", TEXT, "ADDRESS", "Its IPv4 address in the first user-defined network"),
    Option("network", "ip6", "", TEXT, "ADDRESS", "Its IPv6 address in that network"),
    Option("network", "mac-address", "", TEXT, "ADDRESS",
           "Its MAC address in that network, for example 02:42:ac:12:00:09", compose="mac_address"),
    Option("network", "link", "", LIST, "CONTAINER[:NAME]", "Find another container of that network by NAME, too"),
    Option("network", "link-local-ip", "", LIST, "ADDRESS", "An additional link-local address in that network"),
    Option("network", "network-alias", "", LIST, "NAME", "An additional name for the other boxes of its networks"),
    Option("network", "dns", "", LIST, "ADDRESS", "A name server instead of the host's", compose="dns"),
    Option("network", "dns-search", "", LIST, "DOMAIN", "A search domain; . means none",
           compose="dns_search"),
    Option("network", "dns-option", "", LIST, "OPTION", "An option of resolv.conf, for example ndots:2",
           compose="dns_opt"),
    Option("network", "add-host", "", LIST, "NAME:ADDRESS",
           "An additional line in /etc/hosts; host-gateway is the host"),
    Option("network", "publish", "p", LIST, "[[ADDRESS:]HOST:]BOX",
           "Publish a port of the box at a port of the host: 8080:80"),
    Option("network", "publish-all", "P", FLAG, "", "Publish all exposed ports at free ports of the host"),
    Option("network", "expose", "", LIST, "PORT", "Document that the program listens on this port"),
    Option("rights", "cap-add", "", LIST, "CAPABILITY", "Add a capability to docker's default set; ALL: all of them",
           compose="cap_add"),
    Option("rights", "cap-drop", "", LIST, "CAPABILITY", "Drop a capability; ALL: all of them", compose="cap_drop"),
    Option("rights", "privileged", "", FLAG, "", "All capabilities, all devices, no masked paths",
           compose="privileged"),
    Option("rights", "security-opt", "", LIST, "OPTION",
           "no-new-privileges, seccomp=unconfined|FILE, apparmor=, label=, systempaths=",
           compose="security_opt"),
    Option("rights", "sysctl", "", LIST, "NAME=VALUE", "Set a kernel parameter in its namespaces",
           compose="sysctls", mapping=True),
    Option("seeing", "dry-run", "", FLAG, "", "Print the plan and do nothing; needs no root", terminal=True),
    Option("seeing", "bundle", "", TEXT, "DIR", "Write an OCI bundle to DIR and stop", terminal=True),
    Option("seeing", "explain", "", MAYBE, "[FORM]", "Print each step as it happens: text (default), json, html",
           terminal=True),
    Option("seeing", "step", "", FLAG, "", "Stop before each step; a key continues: Enter, k, s, i, c, q",
           terminal=True),
    Option("seeing", "key-steps", "", FLAG, "", "Show, or with --step stop at, only the steps that matter most",
           terminal=True),
    Option("seeing", "break-at", "", LIST, "STEP[,STEP]", "Stop before these steps, by name or manual page",
           terminal=True),
    Option("seeing", "omit", "", LIST, "WHAT[,WHAT]",
           "Leave steps out, safely; `tinybox explain` lists which", terminal=True),
    Option("seeing", "chroot", "", FLAG, "", "Use chroot(2) in place of pivot_root(2), to see the difference",
           terminal=True),
    Option("seeing", "output", "o", TEXT, "FILE", "The file for the output of --explain (default: stderr)",
           terminal=True, offer="files"),
]
# fmt: on
ALIASES = {"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}
BY_NAME = {option.name: option for option in OPTIONS} | {
    alias: option for alias, name in ALIASES.items() for option in OPTIONS if option.name == name
}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
OF_ONE_FIELD = [option for option in OPTIONS if option.parser]
