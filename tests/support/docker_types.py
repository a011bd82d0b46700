"""A strict reader of docker's JSON: the types of docker's API, as its clients have them, and a check against them.

A type is ``str``, ``int`` or ``bool``, a list with one type in it, a dict from key to type, a dict with the key ``*``
for any keys, or TIME. A key that ends in ``?`` may be missing or null. A client in another language than Go refuses a
number where docker has text, and null where docker never has it.
"""

from __future__ import annotations

import re
from typing import Any

TIME = "RFC 3339"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
ZERO = "0001-01-01T00:00:00Z"

_CHECK = {"Start": TIME, "End": TIME, "ExitCode": int, "Output": str}
STATE = {
    "Status": str, "Running": bool, "Paused": bool, "Restarting": bool, "OOMKilled": bool, "Dead": bool, "Pid": int,
    "ExitCode": int, "Error": str, "StartedAt": TIME, "FinishedAt": TIME,
    "Health?": {"Status": str, "FailingStreak": int, "Log?": [_CHECK]},
}  # fmt: skip
MOUNT = {
    "Type": str, "Name?": str, "Source": str, "Destination": str, "Driver?": str, "Mode": str, "RW": bool,
    "Propagation": str,
}  # fmt: skip
_BINDING = {"HostIp": str, "HostPort": str}
_RATES = [{"Path": str, "Rate": int}]
_TEXTS = ("ContainerIDFile NetworkMode VolumeDriver CgroupnsMode IpcMode Cgroup PidMode UTSMode UsernsMode Runtime "
          "Isolation CgroupParent CpusetCpus CpusetMems")  # fmt: skip
_NUMBERS = ("ShmSize CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime "
            "MemoryReservation MemorySwap OomScoreAdj CpuCount CpuPercent")  # fmt: skip
_LISTS = ("Binds VolumesFrom CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt "
          "DeviceCgroupRules MaskedPaths ReadonlyPaths")  # fmt: skip
HOST_CONFIG = {
    **dict.fromkeys(_TEXTS.split(), str),
    **dict.fromkeys(_NUMBERS.split(), int),
    **{f"{name}?": [str] for name in _LISTS.split()},
    **dict.fromkeys("AutoRemove Privileged PublishAllPorts ReadonlyRootfs".split(), bool),
    "LogConfig": {"Type": str, "Config?": {"*": str}},
    "PortBindings?": {"*": [_BINDING]},
    "RestartPolicy": {"Name": str, "MaximumRetryCount": int},
    "ConsoleSize": [int],
    "Tmpfs?": {"*": str},
    "Sysctls?": {"*": str},
    "Init?": bool,
    "PidsLimit?": int,
    "MemorySwappiness?": int,
    "OomKillDisable?": bool,
    "Devices?": [{"PathOnHost": str, "PathInContainer": str, "CgroupPermissions": str}],
    "BlkioDeviceReadBps?": _RATES,
    "BlkioDeviceWriteBps?": _RATES,
    "Ulimits?": [{"Name": str, "Hard": int, "Soft": int}],
    "Mounts?": [
        {"Type": str, "Source?": str, "Target": str, "ReadOnly?": bool, "BindOptions?": {"Propagation?": str},
         "VolumeOptions?": {"NoCopy?": bool}, "TmpfsOptions?": {"SizeBytes?": int, "Mode?": int}}
    ],
}  # fmt: skip
_TIMES = dict.fromkeys("Interval? Timeout? StartPeriod? StartInterval? Retries?".split(), int)
CONFIG = {
    **dict.fromkeys("Hostname Domainname User Image WorkingDir".split(), str),
    **dict.fromkeys("AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce".split(), bool),
    **{f"{name}?": [str] for name in "Env Cmd Entrypoint OnBuild".split()},
    "Labels?": {"*": str}, "Volumes?": {"*": {}}, "ExposedPorts?": {"*": {}}, "StopSignal?": str, "StopTimeout?": int,
    "Healthcheck?": {"Test?": [str], **_TIMES},
}  # fmt: skip
_ADDRESSES = {
    **dict.fromkeys("EndpointID Gateway GlobalIPv6Address IPAddress IPv6Gateway MacAddress".split(), str),
    "GlobalIPv6PrefixLen": int, "IPPrefixLen": int,
}  # fmt: skip
_ENDPOINT = {
    **_ADDRESSES, "NetworkID": str, "IPAMConfig?": {"*": str}, "Links?": [str], "Aliases?": [str], "DNSNames?": [str],
    "DriverOpts?": {"*": str},
}  # fmt: skip
CONTAINER = {
    **dict.fromkeys("Id Path Image ResolvConfPath HostnamePath HostsPath LogPath Name Driver Platform".split(), str),
    **dict.fromkeys("MountLabel ProcessLabel AppArmorProfile".split(), str),
    "Created": TIME, "Args": [str], "State": STATE, "RestartCount": int, "ExecIDs?": [str], "HostConfig": HOST_CONFIG,
    "GraphDriver": {"Name": str, "Data?": {"*": str}}, "Mounts": [MOUNT], "Config": CONFIG,
    "NetworkSettings": {
        **_ADDRESSES, "Bridge": str, "SandboxID": str, "SandboxKey": str, "HairpinMode": bool,
        "LinkLocalIPv6Address": str, "LinkLocalIPv6PrefixLen": int, "Ports": {"*?": [_BINDING]},
        "Networks": {"*": _ENDPOINT},
    },
}  # fmt: skip
NETWORK = {
    "Name": str, "Id": str, "Created": TIME, "Scope": str, "Driver": str, "EnableIPv6": bool, "Internal": bool,
    "Attachable": bool, "Ingress": bool, "ConfigFrom": {"Network": str}, "ConfigOnly": bool,
    "IPAM": {"Driver": str, "Options?": {"*": str}, "Config?": [{"Subnet": str, "Gateway?": str}]},
    "Containers": {"*": dict.fromkeys("Name EndpointID MacAddress IPv4Address IPv6Address".split(), str)},
    "Options?": {"*": str}, "Labels?": {"*": str},
}  # fmt: skip
VOLUME = {
    "CreatedAt": TIME, "Driver": str, "Labels?": {"*": str}, "Mountpoint": str, "Name": str, "Options?": {"*": str},
    "Scope": str,
}  # fmt: skip
IMAGE = {
    "Id": str, "RepoTags": [str], "RepoDigests": [str], "Created": TIME, "Architecture": str, "Os": str, "Size": int,
    "GraphDriver": {"Name": str, "Data?": {"*": str}}, "RootFS": {"Type": str, "Layers?": [str]},
}  # fmt: skip
EVENT = {
    "Type": str, "Action": str, "Actor": {"ID": str, "Attributes": {"*": str}}, "scope": str, "time": int,
    "timeNano": int, "status?": str, "id?": str, "from?": str,
}  # fmt: skip


def misfits(value: Any, kind: Any, where: str = "") -> list[str]:
    """Return what is wrong with *value*, which should be of this *kind*: one line for each value of another type."""
    if kind == TIME:
        return [] if isinstance(value, str) and _TIME.fullmatch(value) else [f"{where}: {value!r} is no time"]
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [line for at, each in enumerate(value) for line in misfits(each, kind[0], f"{where}[{at}]")]
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        return _of_object(value, kind, where)
    return [] if type(value) is kind else [f"{where}: {value!r} is no {kind.__name__}"]


def _of_object(value: dict[str, Any], kind: dict[str, Any], where: str) -> list[str]:
    found = []
    for key, inner in kind.items():
        name, optional = key.removesuffix("?"), key.endswith("?")
        for each in value if name == "*" else [name]:
            if value.get(each) is None:
                found += [] if optional else [f"{where}.{each}: is missing or null"]
            else:
                found += misfits(value[each], inner, f"{where}.{each}")
    return found
