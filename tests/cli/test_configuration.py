"""The configuration file reaches boxes: `run`, `create` and the log of a container, on real ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import named, one_line, output

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.root
def test_defaults_reach_a_box(tinybox: Command, tmp_path: Path) -> None:
    """The program is PID 1 without a network, the log has its limit; an option brings init back.

    A wrong key is one line.
    """
    mine = Command(tinybox.root)
    mine.environment = {**mine.environment, "XDG_CONFIG_HOME": str(tmp_path), "TINYBOX_NETWORK": ""}
    (tmp_path / "tinybox").mkdir()
    file = tmp_path / "tinybox/config.toml"
    file.write_text('network = "none"\ninit = "none"\nlog-opts = { max-size = "5m" }\n')
    shown = ("busybox", "sh", "-c", "echo $$; ls /sys/class/net")
    assert output(mine, *shown) == "1\nlo\n"
    assert output(mine, "--init", "--", *shown) == "2\nlo\n"
    with named(mine) as name:
        assert mine("create", "--name", name, "busybox", "true").returncode == 0
        [known] = json.loads(mine("inspect", name).stdout)
        assert known["HostConfig"]["LogConfig"]["Config"] == {"max-size": "5m"}
    file.write_text("colour = 1\n")
    one_line(mine("run", "--rm", "busybox", "true"), 125, f"{file}: colour: is unknown")
    one_line(mine("info"), 1, f"{file}: colour: is unknown")
    assert mine("ps").returncode == 0
