"""The box's own hosts and resolv.conf: their content, and the block of lines that belongs to tinybox."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tinybox.container.config import network_checks
from tinybox.container.network import hosts_file
from tinybox.container.storage import etc
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = """# made by hand
search old.example
domain example.org
search example.net lan
nameserver 127.0.0.1
nameserver 192.0.2.53
nameserver ::1
options ndots:3 edns0
"""
KEPT = "nameserver 192.0.2.53\nsearch example.net lan\noptions ndots:3 edns0\n"


def test_servers_on_the_loopback_are_left_out() -> None:
    """In a box 127.0.0.1 is the box; the other lines stay, and of two search lines the last one counts."""
    assert etc.resolv_conf(HOSTS, keep=False, known={}) == KEPT
    assert etc.resolv_conf(HOSTS, keep=True, known={}) == HOSTS  # the host's network: unchanged


def test_without_any_server() -> None:
    """If the host has no other server than itself, docker's two public ones are used."""
    assert etc.servers(etc.resolv_conf("nameserver 127.0.0.53\n", keep=False, known={})) == list(etc.PUBLIC)


@pytest.mark.parametrize(
    ("known", "line", "gone"),
    [
        ({"nameserver": ["198.51.100.1"]}, "nameserver 198.51.100.1", "192.0.2.53"),
        ({"search": ["corp.example"]}, "search corp.example", "example.net"),
        ({"search": ["."]}, "nameserver 192.0.2.53", "search"),
        ({"options": ["ndots:1", "rotate"]}, "options ndots:1 rotate", "edns0"),
    ],
)
def test_options_take_the_place_of_the_host_s(known: dict[str, list[str]], line: str, gone: str) -> None:
    """--dns, --dns-search and --dns-option, each by itself; --dns-search . is none."""
    text = etc.resolv_conf(HOSTS, keep=False, known=known)
    assert line in text.splitlines()
    assert gone not in text


def test_the_block_keeps_its_place() -> None:
    """Lines of the box before and after tinybox's block stay; the block is replaced, or removed without a trace."""
    first = hosts_file.placed("127.0.0.1\tlocalhost\n", "10.5.0.2\tweb\n")
    assert first == f"127.0.0.1\tlocalhost\n{hosts_file.BEGIN}\n10.5.0.2\tweb\n{hosts_file.END}\n"
    changed = hosts_file.placed(first + "1.2.3.4\tmine\n", "10.5.0.3\tdb\n")
    assert changed == f"127.0.0.1\tlocalhost\n{hosts_file.BEGIN}\n10.5.0.3\tdb\n{hosts_file.END}\n1.2.3.4\tmine\n"
    assert hosts_file.placed(changed, "") == "127.0.0.1\tlocalhost\n1.2.3.4\tmine\n"


@pytest.mark.parametrize(
    "text", ["", "no newline", f"{hosts_file.BEGIN}\n", f"{hosts_file.BEGIN}\nunfinished", f"{hosts_file.END}\n"]
)
def test_a_damaged_file_gets_its_block(text: str) -> None:
    """A file that a box has damaged gets its block nevertheless, once."""
    twice = hosts_file.placed(hosts_file.placed(text, "1.1.1.1\ta\n"), "2.2.2.2\tb\n")
    assert twice.count("2.2.2.2\tb\n") == 1
    assert "1.1.1.1" not in twice


def test_a_file_is_written_in_place(tmp_path: Path) -> None:
    """The inode stays, because it is mounted; shorter text leaves nothing behind; text of any length is read."""
    path = tmp_path / "hosts"
    for former in ("a long text\n", "0123456789abcde\n" * (3 << 12), "0123456789abcde\n" * (3 << 12) + "rest"):
        path.write_text(former)
        before = path.stat().st_ino
        etc.change(str(path), {former: "short\n"}.__getitem__, 1 << 20)
        assert (path.read_text(), path.stat().st_ino) == ("short\n", before)


def test_a_file_that_need_not_change_is_not_written(tmp_path: Path) -> None:
    """Its time stays; so does that of a file which is too large, and one that is missing is not made."""
    path = tmp_path / "hosts"
    path.write_text("text\n")
    os.utime(path, ns=(1, 1))
    etc.change(str(path), lambda text: text, 1 << 20)
    etc.change(str(path), lambda _: "new", len("text\n"))
    etc.change(str(tmp_path / "none"), lambda _: "new", 1 << 20)
    assert (path.read_text(), path.stat().st_mtime_ns, os.listdir(tmp_path)) == ("text\n", 1, ["hosts"])
    etc.change(str(path), lambda _: "new", 1 << 20)  # the control
    assert (path.read_text(), path.stat().st_mtime_ns != 1) == ("new", True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("db:10.0.0.9", "db:10.0.0.9"),
        ("db=10.0.0.9", "db:10.0.0.9"),
        ("db:fd00::9", "db:fd00::9"),
        ("db:[fd00::9]", "db:fd00::9"),
        ("up:host-gateway", "up:host-gateway"),
    ],
)
def test_hosts_to_add(text: str, meant: str) -> None:
    """--add-host NAME:ADDRESS, or with = as in newer versions of docker."""
    assert network_checks.names({"add_host": [text]})["hosts"] == [meant]


@pytest.mark.parametrize(
    ("option", "word"),
    [("add_host", "db"), ("add_host", "db:"), ("add_host", ":1.2.3.4"), ("add_host", "db:elsewhere"),
     ("add_host", "a b:1.2.3.4"), ("add_host", "a\nb:1.2.3.4"), ("dns", "elsewhere"), ("dns", "1.2.3"),
     ("dns_search", "a b"), ("dns_search", "")],
)  # fmt: skip
def test_wrong_names(option: str, word: str) -> None:
    """The error names the option and the value; no value can add a line of its own."""
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')}"):
        network_checks.names({option: [word]})


@pytest.mark.parametrize("text", ["02:42:ac:12:00:09", "AA:BB:CC:DD:EE:FE"])
def test_a_mac_address(text: str) -> None:
    """Six octets, the address of one interface."""
    network_checks.check_mac(text)


@pytest.mark.parametrize(
    "text", ["", "02:42", "01:00:5e:00:00:01", "00:00:00:00:00:00", "02:42:ac:12:00:0g", "2:4:a:1:0:9"]
)
def test_invalid_mac_addresses(text: str) -> None:
    """Too short, a multicast address, all zeros, or no number."""
    with pytest.raises(UsageError, match="mac-address"):
        network_checks.check_mac(text)
