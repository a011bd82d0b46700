"""The values of docker's options: the meaning of each, and one clear line for a wrong one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tinybox.container import control
from tinybox.container.config import device_option, option_values, signal_option
from tinybox.container.config.volumes import mount_option
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1b", 1),
        ("32m", 32 << 20),
        ("32M", 32 << 20),
        ("1.5g", 3 << 29),
        ("2gb", 2 << 30),
        ("1kib", 1024),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Units are powers of 1024, in either case."""
    assert option_values.size("memory", text) == size


@pytest.mark.parametrize(
    "text",
    [
        "12Q",
        "",
        "m",
        "-1m",
        "1mm",
        "0x10",
        "1 m 2",
        "1ib",
        "٣m",
        "1e3",
        "nan",
        ".",
        "9" * 20 + "m",
        "9" * 400,
        "9" * 5000,
    ],
)
def test_invalid_sizes(text: str) -> None:
    """The error names the option, the value as it was written, and the cure."""
    with pytest.raises(UsageError) as caught:
        option_values.size("memory", text)
    assert str(caught.value) == f"--memory {text}: is not a size (write a number and b, k, m or g: 32m)"


@pytest.mark.parametrize("text", ["", "x", "1.5", "--1", "٣", "9" * 50, "9" * 5000, "-" + "9" * 5000])
def test_invalid_whole_numbers(text: str) -> None:
    """Of any length: int() accepts 4300 digits and no more; the controls are the least and the greatest."""
    with pytest.raises(UsageError, match="is not a whole number from -1 to 9"):
        option_values.whole("pids-limit", text, -1, 9)
    assert (option_values.whole("pids-limit", "-1", -1, 9), option_values.whole("pids-limit", "09", -1, 9)) == (-1, 9)


def test_signals() -> None:
    """Names with and without SIG, numbers, and real-time signals, which stop systemd, in every command."""
    numbers = {"TERM": 15, "sigterm": 15, "9": 9, "RTMIN": 34, "SIGRTMIN+3": 37, "rtmin+30": 64, "64": 64}
    numbers |= {"RTMAX": 64, "SIGRTMAX-3": 61, "rtmax-30": 34, "SigRtMax-0": 64, "CLD": 17, "IOT": 6, "POLL": 29}
    numbers |= {f"SIGRTMIN+{n}": 34 + n for n in range(31)} | {f"rtmax-{n}": 64 - n for n in range(31)}
    for text, number in numbers.items():
        assert (signal_option.signal_number("stop-signal", text), control.signal_number(text)) == (number, number)
    for text in (
        "",
        "0",
        "65",
        "-9",
        "SIGSIGTERM",
        "_IGN",
        "_BLOCK",
        "RTMIN+31",
        "RTMIN+",
        "RTMAX-31",
        "RTMAX-",
        "RTMAX+1",
        "RTMIN-1",
        "RTMAX--1",
        "TERM+1",
        "RTMIN+x",
        "9" * 5000,
    ):
        with pytest.raises(UsageError):
            signal_option.signal_number("stop-signal", text)
        with pytest.raises(UsageError):
            control.signal_number(text)


def test_environment_is_files_then_options_then_the_caller_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--env has priority over --env-file; a bare name passes the caller's value, or nothing if it is unset."""
    file = tmp_path / "env"
    file.write_text("# a comment\nA=file\nB=file=2\n\n  C=blank\n")
    monkeypatch.setenv("OURS", "passed on")
    monkeypatch.delenv("NOBODYS", raising=False)
    assert option_values.environment(["A=word", "OURS", "NOBODYS", "E="], [str(file)]) == {
        "A": "word",
        "B": "file=2",
        "C": "blank",
        "OURS": "passed on",
        "E": "",
    }


def test_files_of_other_editors(tmp_path: Path) -> None:
    """A byte order mark and CR LF are left out, as docker does; another CR, and blanks at the end, are kept."""
    (tmp_path / "env").write_bytes(b"\xef\xbb\xbfA=1\r\n\r\n# x\r\nB=a\rb \r\nC=2\r\r\nD=e\xc2\x85f")
    found = option_values.environment([], [str(tmp_path / "env")])
    assert found == {"A": "1", "B": "a\rb ", "C": "2\r", "D": "e\x85f"}
    (tmp_path / "env").write_bytes(b"A=1\n\xef\xbb\xbfB=2\n")  # only the first mark is one
    assert list(option_values.environment([], [str(tmp_path / "env")])) == ["A", "\ufeffB"]


@pytest.mark.parametrize("line", ["A B=1", "=x", "A =1", "A=1\0B=2"])
def test_invalid_variables(line: str, tmp_path: Path) -> None:
    """A line of a file without a name, with a blank in the name, or with a NUL, is an error that shows it."""
    (tmp_path / "env").write_text(f"FINE=a b\n{line}\n")
    with pytest.raises(UsageError, match="is no variable"):
        option_values.environment([], [str(tmp_path / "env")])


def test_a_source_is_a_path_or_the_name_of_a_volume(tmp_path: Path) -> None:
    """A path is a bind mount, and need not exist yet; a bare name is a volume; a third part is options."""
    made = mount_option.volume(f"{tmp_path}:/data:ro")
    assert (made["type"], made["source"], made["options"]) == ("bind", str(tmp_path), ["rbind", "rprivate", "ro"])
    assert mount_option.volume("web:/data")["type"] == "volume"
    assert mount_option.mount("type=volume,source=web,target=/data,volume-nocopy")["options"] == ["nocopy"]
    assert mount_option.volume(f"{tmp_path}/none:/data")["source"] == f"{tmp_path}/none"
    for text in ("/:data", "a b:/data", f"{tmp_path}:/data:ro:x", "::"):
        with pytest.raises(UsageError):
            mount_option.volume(text)


def test_mount_is_docker_s_long_form(tmp_path: Path) -> None:
    """type=bind, tmpfs and volume; an unknown key is named."""
    bind = mount_option.mount(f"type=bind,src={tmp_path},dst=/a,readonly")
    assert (bind["destination"], bind["options"]) == ("/a", ["rbind", "rprivate", "ro"])
    tmpfs = mount_option.mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700")
    assert tmpfs["options"] == ["nosuid", "nodev", "noexec", "size=1048576", "mode=700"]
    for word, said in (("", ["ro"]), ("=1", ["ro"]), ("=TRUE", ["ro"]), ("=0", []), ("=False", [])):
        options = mount_option.mount(f"type=bind,src={tmp_path},dst=/a,readonly{word}")["options"]
        assert options == ["rbind", "rprivate", *said], word
    with pytest.raises(UsageError, match="invalid value for readonly: no"):
        mount_option.mount(f"type=bind,src={tmp_path},dst=/a,readonly=no")
    with pytest.raises(UsageError, match="unexpected key 'colour'"):
        mount_option.mount(f"type=bind,source={tmp_path},target=/a,colour=red")
    with pytest.raises(UsageError, match="mount type unknown: nfs"):
        mount_option.mount("type=nfs,target=/a")


def test_devices_are_read_from_the_host() -> None:
    """Numbers and mode are the node's own; a plain file is refused; access may be given alone."""
    node, access = device_option.device("/dev/null:/dev/nothing:r")
    assert (node["path"], node["type"], node["major"], node["minor"], access) == ("/dev/nothing", "c", 1, 3, "r")
    assert device_option.device("/dev/null:rm")[1] == "rm"
    with pytest.raises(UsageError, match="is not a device"):
        device_option.device(os.devnull.replace("null", "") + "../etc/passwd")


def test_device_rules() -> None:
    """Type, numbers and access are all required; a star is any number."""
    rule = {"allow": True, "type": "c", "major": 42, "minor": -1, "access": "rm"}
    assert device_option.device_rule("c 42:* rm") == rule
    for text in ("", "c", "c 42", "c 42:* x", "d 1:1 r", "c 1 r", "c :1 r", "c -1:1 r", "c 1:1 r r"):
        with pytest.raises(UsageError, match="is no rule"):
            device_option.device_rule(text)
    for text in ("c 4096:0 r", "c 0:1048576 r"):
        with pytest.raises(UsageError, match="numbers that no device has"):
            device_option.device_rule(text)


def test_ulimits() -> None:
    """One value is both limits; -1 is none; soft above hard and unknown names are errors."""
    assert device_option.ulimit("nofile=64") == {"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}
    assert device_option.ulimit("core=0:-1") == {"type": "RLIMIT_CORE", "soft": 0, "hard": -1}
    for text in ("nofile=2:1", "nofile", "nofile=", "bogus=1", "nofile=x"):
        with pytest.raises(UsageError):
            device_option.ulimit(text)
