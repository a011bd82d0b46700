"""Log drivers syslog and journald: the bytes that another program gets, and the options that are refused."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinybox.container.config import life, log_options
from tinybox.container.monitor import log_forwarding
from tinybox.container.monitor.log import Log
from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError
from tinybox.linux import quick_json as json

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "0123456789abcdef" * 4


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[socket.socket]:
    """Give a datagram socket at `log` in the test's directory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "log"))
        made.settimeout(5)
        yield made


def target(driver: str, **options: str) -> log_forwarding.Target:
    """Return the connected target of a box named `web`."""
    known = {key.replace("_", "-"): value for key, value in options.items()}
    annotations = {spec.LOG_DRIVER: driver, spec.LOG_FORWARD: json.dumps(known), spec.NAME: "web"}
    found = log_forwarding.Target(ID, {**annotations, spec.IMAGE_NAME: "busybox:latest"})
    found.connect()
    return found


def test_syslog_gets_each_line(receiver: socket.socket, tmp_path: Path) -> None:
    """A whole line is one message, with the tag and the priority of its stream; the file has it, too.

    Control: an unfinished line is not sent before the log is closed.
    """
    log = Log(str(tmp_path / "container.log"))
    log.target = target("syslog", syslog_address=f"unixgram://{tmp_path}/log", tag="{{.Name}}/{{ .ID }}")
    log.write("stdout", b"one\ntw")
    log.write("stderr", b"bad\n")
    head = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d web/0123456789ab\[\d+\]: "
    assert re.fullmatch(f"<30>{head}one", receiver.recv(999).decode())
    assert re.fullmatch(f"<27>{head}bad", receiver.recv(999).decode())
    log.close()
    assert receiver.recv(999).endswith(b": tw")
    assert (tmp_path / "container.log").read_text().count("\n") == 3
    assert log.failure == ""


@pytest.mark.parametrize(
    ("style", "pattern"),
    [
        ("rfc3164", r"<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ 0123456789ab\[\d+\]: x"),
        ("rfc5424", r"<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ 0123456789ab \d+ 0123456789ab - x"),
    ],
)
def test_formats_of_syslog(receiver: socket.socket, tmp_path: Path, style: str, pattern: str) -> None:
    """--log-opt syslog-format and syslog-facility."""
    sends = target("syslog", syslog_address=f"unixgram://{tmp_path}/log", syslog_format=style, syslog_facility="local0")
    assert sends.send("stdout", b"x\n") == ""
    sends.close()
    assert re.fullmatch(pattern, receiver.recv(999).decode())


def test_the_journal_gets_fields(receiver: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The native protocol: fields as lines, and the message with its length, so that it may contain anything."""
    monkeypatch.setattr(log_forwarding, "JOURNAL", f"{tmp_path}/log")
    sends = target("journald")
    assert sends.send("stderr", b"\xff=\n") == ""
    sends.close()
    fields, _, message = receiver.recv(9999).partition(b"MESSAGE\n")
    assert message == (2).to_bytes(8, "little") + b"\xff=\n"
    assert {b"PRIORITY=3", b"CONTAINER_NAME=web", b"CONTAINER_TAG=0123456789ab"} <= set(fields.splitlines())
    assert f"CONTAINER_ID_FULL={ID}".encode() in fields.splitlines()


def test_no_program_listens(tmp_path: Path, receiver: socket.socket) -> None:
    """The start fails then; if the program ends later, the file still has the lines, and the failure is kept."""
    with pytest.raises(StateError, match="failed to initialize logging driver: unixgram:///no/such"):
        target("syslog", syslog_address="unixgram:///no/such")
    log = Log(str(tmp_path / "container.log"))
    log.target = target("syslog", syslog_address=f"unixgram://{tmp_path}/log")
    receiver.close()
    log.write("stdout", b"kept\n")
    log.close()
    assert log.failure == "syslog: Connection refused"
    assert "kept" in Path(tmp_path / "container.log").read_text()


@pytest.mark.parametrize(
    ("driver", "option", "wrong"),
    [
        ("syslog", "mode=x", "unknown log opt 'mode' for syslog log driver"),
        ("journald", "syslog-address=udp://a", "unknown log opt 'syslog-address' for journald log driver"),
        ("syslog", "syslog-address=here", "syslog-address should be in form proto://address"),
        ("syslog", "syslog-address=tcp+tls://a:1", "syslog-address should be in form proto://address"),
        ("syslog", "syslog-facility=loud", "invalid syslog facility: loud"),
        ("syslog", "syslog-format=own", "Invalid syslog format"),
    ],
)
def test_wrong_options(driver: str, option: str, wrong: str) -> None:
    """Docker's sentences; the control is a right one, which becomes an annotation."""
    key, _, value = option.partition("=")
    assert wrong in log_options.misfit({key: value}, driver)
    with pytest.raises(UsageError, match=f"--log-driver {driver}: "):
        life._logging({"log_driver": driver, "log_opt": [option]})
    made = life._logging({"log_driver": driver, "log_opt": ["tag=a", "max-size=1m"]})
    assert (made[spec.LOG_FORWARD], made[spec.LOG_MAX_SIZE]) == ('{"tag": "a"}', str(1 << 20))
