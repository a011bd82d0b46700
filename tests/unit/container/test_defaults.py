"""The configuration file: its keys become options that the command line leaves out; a wrong key is one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.cli import app
from tinybox.container.config import defaults
from tinybox.container.config.options import BY_NAME
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    Writer = Callable[[str], None]

WHOLE = """
network = "none"
init = "reap"
log-driver = "local"
log-opts = { max-size = "5m", max-file = 2 }
detach-keys = "ctrl-x,x"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Give a function that writes the user's file; there is none at first, and none for all users."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TINYBOX_NETWORK", raising=False)
    monkeypatch.setattr(defaults, "FOR_ALL", str(tmp_path / "all.toml"))
    (tmp_path / "tinybox").mkdir()

    def write(text: str) -> None:
        (tmp_path / "tinybox/config.toml").write_text(text)

    return write


def test_without_a_file_nothing_changes(write: Writer) -> None:
    """The options are the same object, and the parser of TOML is not loaded."""
    former = sys.modules.pop("tomllib", None)
    options: dict[str, Any] = {"memory": "64m"}
    try:
        assert defaults.applied(options) is options
        assert "tomllib" not in sys.modules
    finally:
        if former is not None:
            sys.modules["tomllib"] = former


def test_keys_become_options(write: Writer) -> None:
    """Each key is the option of its name, for options that are missing."""
    write(WHOLE)
    made = defaults.applied({"memory": "64m"})
    assert made == {"memory": "64m", "network": ["none"], "init": "reap", "log_driver": "local",
                    "log_opt": ["max-size=5m", "max-file=2"], "detach_keys": "ctrl-x,x"}  # fmt: skip
    assert defaults.detach_keys() == "ctrl-x,x"
    assert {*defaults.TEXTS} <= set(BY_NAME)


def test_options_have_precedence(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option replaces a key; log-opts go with their driver alone, and one by one; so does TINYBOX_NETWORK."""
    write(WHOLE)
    made = defaults.applied({"network": ["host"], "init": "none", "log_opt": ["max-file=9"], "detach_keys": "a"})
    assert (made["network"], made["init"], made["detach_keys"]) == (["host"], "none", "a")
    assert made["log_opt"] == ["max-size=5m", "max-file=9"]
    assert "log_opt" not in defaults.applied({"log_driver": "json-file"})
    monkeypatch.setenv("TINYBOX_NETWORK", "bridge")
    assert "network" not in defaults.applied({})


def test_the_users_file_has_precedence(write: Writer) -> None:
    """A key of the user's file replaces that of the file for all; the others stay."""
    Path(defaults.FOR_ALL).write_text('network = "none"\ninit = "none"\n')
    write('init = "reap"\n')
    assert defaults.settings() == {"network": "none", "init": "reap"}
    assert [*defaults.files()] == [defaults.FOR_ALL, f"{os.environ['XDG_CONFIG_HOME']}/tinybox/config.toml"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('colour = "red"', "config.toml: colour: is unknown (keys: network, init, log-driver, runtime"),
        ("network = 3", 'config.toml: network: is no text (network = "...")'),
        ('log-opts = "max-size=1m"', 'config.toml: log-opts: is no table of texts ({ max-size = "10m" })'),
        ("[registries]", "config.toml: registries: is not a key of this file (/etc/docker/daemon.json or"),
        ("network", "config.toml: is no TOML file: "),
        ('network = "\N{ESCAPE}[2J"', "config.toml: is no TOML file: "),
    ],
)
def test_a_wrong_file_is_one_line(write: Writer, text: str, says: str) -> None:
    """The line has the file, the key and what would be right; commands that do not read it go on."""
    write(text)
    with pytest.raises(UsageError) as error:
        defaults.applied({})
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()


def test_info_names_the_files(
    write: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`info` says which file was read and what it sets; without a file it says nothing of that."""
    monkeypatch.setenv("TINYBOX_ROOT", f"{os.environ['XDG_CONFIG_HOME']}/store")
    app.start(["info"])
    assert "Configuration" not in capsys.readouterr().out
    write(WHOLE)
    app.start(["info"])
    said = capsys.readouterr().out
    assert "config.toml (network: none, init: reap, log-driver: local, log-opts: max-size=5m max-file=2, detach" in said
    assert "Logging Driver: local\n" in said
