"""Check the --log-opt of the log drivers syslog and journald; monitor/log_forwarding.py carries them out."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()


def misfit(options: Mapping[str, str], driver: str) -> str:
    """Return which of the *options* of --log-opt is wrong for *driver*, as docker says it; "" if none is."""
    known = ("tag", "syslog-address", "syslog-facility", "syslog-format") if driver == "syslog" else ("tag",)
    for key in options:
        if key not in known:
            return f"unknown log opt '{key}' for {driver} log driver"
    kind, mark, place = options.get("syslog-address", "udp://x").partition("://")
    port = place.rpartition(":")[2] if ":" in place and kind in ("udp", "tcp") else "1"
    if not mark or kind not in ("udp", "tcp", "unix", "unixgram") or not place or not port.isdecimal():
        return "syslog-address should be in form proto://address, got udp, tcp, unix or unixgram"
    if options.get("syslog-facility", "daemon") not in FACILITIES:
        return f"invalid syslog facility: {options['syslog-facility']}"
    if options.get("syslog-format", "") not in ("", "rfc3164", "rfc5424", "rfc5424micro"):
        return "Invalid syslog format"
    return ""
