"""build --add-host, --shm-size, --ulimit and --cgroup-parent: options of the container of each RUN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.build.test_build import build, cached

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root
SCRIPT = "grep own.host /etc/hosts; df /dev/shm | tail -n 1; ulimit -n; grep -c parent-of-run /proc/self/cgroup; true"
WORDS = ("--add-host", "own.host=192.0.2.7", "--shm-size", "1m", "--ulimit", "nofile=77")


def test_a_run_has_the_options(built: Command, tmp_path: Path) -> None:
    """RUN sees the line, the size and the limit; the cache knows them, and not the group. Control: without them.

    Options of docker's former builder are taken, and have no effect, as in docker.
    """
    text = f"FROM busybox\nRUN {SCRIPT}\n"
    done = build(built, tmp_path, text, *WORDS, "--cgroup-parent", "tinybox-parent-of-run", "--cache-from", "old:1")
    assert done.returncode == 0, done.stderr
    assert "192.0.2.7\town.host" in done.stderr
    assert " 1024 " in done.stderr
    assert " 77\n" in done.stderr
    assert "tinybox: --cache-from old:1: has no effect: the build cache is in the store, not in images" in done.stderr
    assert cached(build(built, tmp_path, text, *WORDS)) == 1
    ignored = (
        "--rm",
        "--force-rm=false",
        "--compress",
        "-m",
        "1g",
        "--cpu-shares=2",
        "--security-opt",
        "x",
        "--squash",
    )
    taken = build(built, tmp_path, text, *WORDS, *ignored)
    assert cached(taken) == 1
    assert taken.stderr.startswith("tinybox: --squash: has no effect")
    without = build(built, tmp_path, text)
    assert (cached(without), "own.host\n" in without.stderr, " 65536 " in without.stderr) == (0, False, True)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--add-host", "nowhere"), ("--shm-size", "big"), ("--ulimit", "nofile"), ("--cgroup-parent", "a/../b")],
)
def test_a_wrong_value_is_named_before_the_first_step(built: Command, tmp_path: Path, option: str, value: str) -> None:
    """The error names the option and the value, and no step is carried out."""
    done = build(built, tmp_path, "FROM busybox\nCOPY nosuch /\n", option, value)
    assert done.returncode == 1
    assert done.stderr.startswith(f"tinybox: {option} {value}: ")
    assert "#1 " not in done.stderr
