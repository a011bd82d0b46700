"""The types of the values that tinybox reads in its own config.json, and in the annotations there and in state.json.

A container's files are checked when they are read, because a user or another program may have changed them. The
config.json of another tool is checked by config/validate.py, which has a stricter table.
"""

from __future__ import annotations

from tinybox.linux.quick_json import INT64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TEXTS, _TEXT_MAP = [str], {"*": str}
_IDS, _UINT32 = range(2**32 - 1), range(1 << 32)
_PORTS = range(1 << 16)
_MAPPINGS = [dict.fromkeys(("containerID!", "hostID!", "size!"), _UINT32)]
_HOOKS = [{"path!": str, "args": _TEXTS, "env": _TEXTS, "timeout": INT64}]
_DEVICE = {"path!": str, "type!": str, "major": INT64, "minor": INT64, "fileMode": INT64, "uid": _IDS, "gid": _IDS}
_RULE = {"allow!": bool, "type": str, "major": INT64, "minor": INT64, "access": str}
_RATES = [{"major!": INT64, "minor!": INT64, "rate!": INT64}]
_RESOURCES: dict[str, Any] = {
    "devices": [_RULE],
    "memory": dict.fromkeys(("limit", "reservation", "swap", "kernel", "swappiness"), INT64),
    "cpu": {**dict.fromkeys(("shares", "quota", "period", "burst", "idle"), INT64), "cpus": str, "mems": str},
    "pids": {"limit": INT64},
    "blockIO": {"weight": INT64, **{f"throttle{way}Device": _RATES for way in ("ReadBps", "WriteBps")}},
    "unified": _TEXT_MAP,
}
_CONDITION = {"index!": _UINT32, "value!": INT64, "valueTwo": INT64, "op!": str}
_SECCOMP: dict[str, Any] = {
    "defaultAction!": str,
    "defaultErrnoRet": INT64,
    "architectures": _TEXTS,
    "flags": _TEXTS,
    "syscalls": [{"names!": _TEXTS, "action!": str, "errnoRet": INT64, "args": [_CONDITION]}],
}
_PROCESS: dict[str, Any] = {
    **dict.fromkeys(("terminal", "noNewPrivileges"), bool),
    "user": {"uid": _IDS, "gid": _IDS, "umask": _UINT32, "additionalGids": [_IDS]},
    **dict.fromkeys(("args", "env"), _TEXTS),
    "consoleSize": dict.fromkeys(("height", "width"), INT64),
    **dict.fromkeys(("cwd", "apparmorProfile", "selinuxLabel"), str),
    "capabilities": {"*": _TEXTS},
    "rlimits": [{"type!": str, "soft!": range(1 << 64), "hard!": range(1 << 64)}],
    "oomScoreAdj": INT64,
    "scheduler": {"policy!": str, "nice": INT64, "priority": INT64, "flags": _TEXTS},
    "ioPriority": {"class!": str, "priority": INT64},
    "execCPUAffinity": _TEXT_MAP,
}
_LINUX: dict[str, Any] = {
    "namespaces": [{"type!": str, "path": str}],
    **dict.fromkeys(("uidMappings", "gidMappings"), _MAPPINGS),
    "devices": [_DEVICE],
    **dict.fromkeys(("cgroupsPath", "rootfsPropagation", "mountLabel"), str),
    "resources": _RESOURCES,
    "seccomp": _SECCOMP,
    "sysctl": _TEXT_MAP,
    **dict.fromkeys(("maskedPaths", "readonlyPaths"), _TEXTS),
    "personality": {"domain": str},
    "timeOffsets": {"*": {"secs": INT64, "nanosecs": INT64}},
}
_MOUNT = {"destination!": str, **dict.fromkeys(("type", "source"), str), "options": _TEXTS}
CONFIG: dict[str, Any] = {  # see quick_json.misfit
    "ociVersion!": str,
    "process!": {**_PROCESS, "args!": _TEXTS, "cwd!": str},
    "root!": {"path!": str, "readonly": bool},
    **dict.fromkeys(("hostname", "domainname"), str),
    "mounts": [{**_MOUNT, **dict.fromkeys(("uidMappings", "gidMappings"), _MAPPINGS)}],
    "hooks": {"*": _HOOKS},
    "annotations": _TEXT_MAP,
    "linux": _LINUX,
}

_SECONDS = dict.fromkeys(("interval!", "timeout!", "startPeriod!", "startInterval"), float)
_PORT = {"hostIp!": str, "hostPort!": _PORTS, "hostPortLast": _PORTS, "containerPort!": _PORTS, "protocol!": str}
PORTS = [_PORT]
ANNOTATIONS: dict[str, Any] = {  # those that are JSON, by the part of their name behind "tinybox."
    "id-maps": {"uids!": _MAPPINGS, "gids!": _MAPPINGS, "auto": range(1 << 17), "forced": [_MAPPINGS], "lines": _TEXTS},
    "joined": _TEXT_MAP,
    "log-forward": _TEXT_MAP,
    "option-volumes": _TEXTS,
    "networks": [
        {
            "name!": str,
            **dict.fromkeys(("aliases", "links", "link_local"), _TEXTS),
            "priority": INT64,
            **dict.fromkeys(("address", "address6", "mac"), str),
            "driver_options": _TEXT_MAP,
        }
    ],
    "ports": PORTS,
    "exposed": _TEXTS,
    "names": dict.fromkeys(("nameserver", "search", "options", "hosts"), _TEXTS),
    "volumes-from": _TEXTS,
    "group-add": _TEXTS,
    "asked": {
        "User": str,
        "Volumes": _TEXTS,
        "HostConfig": {"Binds": _TEXTS, "Tmpfs": _TEXT_MAP, "Mounts": [{"Target!": str}]},
    },
    "health": {"test!": _TEXTS, **_SECONDS, "retries!": INT64},
}
NETWORKS = [  # the endpoints of a running container
    {
        **dict.fromkeys((f"{key}!" for key in "network id bridge interface link address gateway mac".split()), str),
        **dict.fromkeys(("address6", "gateway6"), str),
        **dict.fromkeys(("aliases", "links", "link_local"), _TEXTS),
        **dict.fromkeys(("internal", "isolated", "masquerade"), bool),
        "mtu": range(1 << 16),
        "priority": INT64,
        "sysctls": _TEXT_MAP,
    }
]
