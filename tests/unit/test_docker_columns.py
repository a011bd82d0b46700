"""The columns of each list have docker's names, which scripts use in --format; docker's client printed the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import docker_fields
from tinybox.cli.commands import disk_usage, listing, networks, stats, volumes
from tinybox.cli.commands.image import images
from tinybox.cli.formatting.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.cli.formatting.table import Columns

TABLES: dict[str, Columns] = {
    "ps": listing.columns(full=True, now=0),
    "images": images.COLUMNS,
    "history": images.HISTORY,
    "network ls": networks.columns(whole=True),
    "volume ls": volumes.COLUMNS,
    "stats": stats.COLUMNS,
    "system df": disk_usage.COLUMNS,
}
PARTS: dict[str, Columns] = {
    "Images": disk_usage.IMAGES,
    "Containers": disk_usage.containers(),
    "Volumes": disk_usage.VOLUMES,
    "BuildCache": disk_usage.CACHE,
}


@pytest.mark.parametrize("command", TABLES)
def test_the_columns_are_dockers(command: str) -> None:
    """Each column of docker's is there, and no other, except the function Label, which no JSON shows."""
    assert set(TABLES[command]) - {"Label"} == set(docker_fields.FACTS["printed"][command])


@pytest.mark.parametrize("part", PARTS)
def test_the_columns_of_the_parts_are_dockers(part: str) -> None:
    """`system df -v` has docker's columns; the uses of an entry of the build cache are not recorded."""
    [known] = docker_fields.FACTS["printed"]["system df -v"][part]
    missing = set(known) - set(PARTS[part])
    assert {f"system df -v.{name}" for name in missing} <= set(docker_fields.ABSENT)
    assert set(PARTS[part]) - {"Label"} <= set(known)


def test_the_style_raw() -> None:
    """`--format raw` prints a line for each field; the words are docker's."""
    table = Table({"ID": ("", lambda _: "1"), "Name": ("", lambda _: "a b")}, "raw", "ID", "network_id:ID name:Name")
    assert table.lines([None]) == ["network_id: 1\nname: a b\n"]
    assert Table({"ID": ("", lambda _: "1")}, "raw", "ID").lines([None]) == ["raw"]


def test_statistics_for_programs_are_numbers() -> None:
    """A value that is not counted is -- in a table, and zero for programs, in each column that can be unknown."""
    texts = {"CPUPerc": "--", "MemUsage": "-- / --", "PIDs": "--", "Name": "a--b"}

    def always(text: str) -> Callable[[object], str]:
        return lambda _: text

    unknown: Columns = {name: (name, always(text)) for name, text in texts.items()}
    assert Table(stats.with_zeros(unknown), "{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}|{{.Name}}", "").lines([None]) == [
        "0.00%|0B / 0B|0|a--b"
    ]
    assert set(stats.ZEROS) < set(stats.COLUMNS)
