"""Yes and no, and times, as Go reads them and docker with it; each place that reads them keeps its own sentence."""

from __future__ import annotations

import pytest

from tinybox import text_values
from tinybox.cli import quick
from tinybox.cli.run_command import table_command
from tinybox.container.config import life
from tinybox.container.config.volumes import mount_option
from tinybox.container.views import filter_values, units
from tinybox.errors import UsageError
from tinybox.oci import command_line, usage

# Go's own lists: strconv.ParseBool, which refuses other cases such as "tRUE"; we do not.
YES = ("1", "t", "T", "true", "TRUE", "True", "tRUE")
NO = ("0", "f", "F", "false", "FALSE", "False", "fALSE")
NEITHER = ("yes", "no", "on", "off", "2", "00", "tr", " true", "true ", "y", "-1")

MICRO, MU = "\u00b5", "\u03bc"
TIMES = {  # from Go's time.ParseDuration
    "0": 0,
    "5s": 5_000_000_000,
    "30s": 30_000_000_000,
    "1478s": 1_478_000_000_000,
    "5.0s": 5_000_000_000,
    "5.6s": 5_600_000_000,
    "5.s": 5_000_000_000,
    ".5s": 500_000_000,
    "1.004s": 1_004_000_000,
    "1.0040s": 1_004_000_000,
    "100.00100s": 100_001_000_000,
    "10ns": 10,
    "11us": 11_000,
    f"12{MICRO}s": 12_000,
    f"12{MU}s": 12_000,
    "13ms": 13_000_000,
    "15m": 900_000_000_000,
    "16h": 57_600_000_000_000,
    "3h30m": 12_600_000_000_000,
    "10.5s4m": 250_500_000_000,
    "1h2m3s4ms5us6ns": 3_723_004_005_006,
    "39h9m14.425s": 140_954_425_000_000,
    "52763797000ns": 52_763_797_000,
    "0.3333333333333333333h": 1_199_999_999_999,
    "9007199254740993ns": 9_007_199_254_740_993,  # more than a floating number can tell apart
    "1.9ns": 1,
}
NO_TIMES = ("", "3", "00", "-", "s", ".", "-.", ".s", "+.s", "-5s", "+5s", "1 s", "1s ", "1d", "1mm", "1hs", "1..5s",
            "1.2.3s", "1m30", "\u0661s", "9" * 400 + "s", "1" + MICRO, "1\n")  # fmt: skip


@pytest.mark.parametrize("text", [*YES, *NO])
def test_yes_and_no(text: str) -> None:
    """Every place reads the same words."""
    said = text in YES
    assert text_values.truth(text) is said
    assert quick.parse([f"--rm={text}", "box"]) == ({"rm": said}, ["box"])
    assert command_line.parse([f"--debug={text}", "list"]).flags == ({"debug"} if said else set())
    assert filter_values.truth("dangling", text) is said
    assert mount_option.mount(f"type=tmpfs,target=/x,readonly={text}")["options"].count("ro") == said


@pytest.mark.parametrize("text", [*YES, *NO])
def test_the_short_way_and_click_agree(text: str) -> None:
    """What the short way reads of --rm=WORD, the click command does."""
    taken: list[object] = []

    def take(_: str, __: list[str], options: dict[str, object]) -> int:
        taken.append(options)
        return 0

    table_command("run", take, "").main([f"--rm={text}", "box"], prog_name="tinybox run", standalone_mode=False)
    assert taken == [{"rm": text in YES}]


@pytest.mark.parametrize("text", NEITHER)
def test_neither_yes_nor_no(text: str) -> None:
    """Each place refuses in its own words; the short way leaves it to click."""
    assert text_values.truth(text) is None
    assert quick.parse([f"--rm={text}", "box"]) is None
    with pytest.raises(UsageError, match="--debug="):
        command_line.parse([f"--debug={text}", "list"])
    with pytest.raises(UsageError, match="--filter dangling="):
        filter_values.truth("dangling", text)
    with pytest.raises(UsageError, match="--mount"):
        mount_option.mount(f"type=tmpfs,target=/x,readonly={text}")


def test_nothing_is_what_it_was() -> None:
    """No word at all: yes for a runtime's flag, and neither elsewhere."""
    assert text_values.truth("") is None
    assert quick.parse(["--rm=", "box"]) is None
    assert command_line.parse(["--debug=", "list"]).flags == {"debug"}
    with pytest.raises(UsageError, match="invalid value for readonly"):
        mount_option.mount("type=tmpfs,target=/x,readonly=")
    with pytest.raises(UsageError):
        filter_values.truth("dangling", "")


@pytest.mark.parametrize("text", TIMES)
def test_times(text: str) -> None:
    """To the nanosecond, what is less is dropped; every place reads the same."""
    assert text_values.duration(text) == TIMES[text]
    assert life.duration("health-interval", text) == TIMES[text] / 1e9
    if text != "0":  # which is a time in seconds since 1970 there
        assert units.moment("--since", text, 2 * 10**18) == 2 * 10**18 - TIMES[text]
        if TIMES[text] < usage.LONGEST * 1e9:
            assert usage.seconds(text) == TIMES[text] / 1e9


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time(text: str) -> None:
    """A sign, no unit, an unknown one, or no number; each place has its own sentence for it."""
    assert text_values.duration(text) is None
    if text:  # in a compose file nothing is no time at all
        with pytest.raises(UsageError, match="--health-interval"):
            life.duration("health-interval", text)
    if not text.isascii() or not text.isdigit():
        if text not in ("-5s", "+5s"):  # which docker's --since takes
            with pytest.raises(UsageError, match="--since"):
                units.moment("--since", text, 10**18)
        with pytest.raises(UsageError, match="--interval"):
            usage.seconds(text)


def test_limits_stay_where_they_are() -> None:
    """A health check waits for 30 years at most, `events` for 24 days, and never for nothing; --since for any time."""
    assert life.duration("x", "1000000000s") == 1e9
    with pytest.raises(UsageError, match="too long"):
        life.duration("x", "1000000001s")
    assert life.duration("x", "") == 0
    assert usage.seconds("576h") == usage.seconds("2073600") == 24 * 24 * 3600
    for text in ("576h1s", "0s", "0"):
        with pytest.raises(UsageError, match="--interval"):
            usage.seconds(text)
    assert units.moment("--since", "9999999999999h", 10**18) == 1
