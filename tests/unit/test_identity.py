"""Who --user is, looked up in directories that stand for an image's layers: no line in them need make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinybox.container.identity import MOST, resolve
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

USERS = f"""bad
::::::
root:x:0:0:root:/root:/bin/sh
large:x:{MOST + 1}:5::/home/large:
endless:x:{"9" * 5000}:5::/home/endless:
group:x:5:{MOST + 1}::/home/group:
negative:x:-1:5::/:
nogroup:x:8::::
fine:x:7:70::/home/fine:
"""
GROUPS = f"""bad
large:x:{MOST + 1}:root
endless:x:{"9" * 5000}:root
none:x::root
word:x:abc:root
short:x:20
fine:x:30:other,root
"""


@pytest.fixture
def layer(tmp_path: Path) -> str:
    """Return a layer with users and groups of all kinds."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(USERS)
    (tmp_path / "etc/group").write_text(GROUPS)
    return str(tmp_path)


def test_lines_without_sense_are_passed_over(layer: str) -> None:
    """Those beside them count; a group's line may end before its members."""
    assert resolve("root", [layer]) == ({"uid": 0, "gid": 0, "additionalGids": [30]}, "/root")
    assert resolve("fine:fine", [layer]) == ({"uid": 7, "gid": 30}, "/home/fine")
    assert resolve("0:short", [layer])[0] == {"uid": 0, "gid": 20}
    assert resolve("8", [layer]) == ({"uid": 8, "gid": 0, "additionalGids": []}, "/")


NOBODY = ["bad", "large", "endless", "group", "negative", "nogroup", "0:large", "0:none", "0:word", "٣", "-1"]


@pytest.mark.parametrize("user", [*NOBODY, str(MOST + 1), "9" * 5000, f"0:{MOST + 1}", "0:" + "9" * 5000])
def test_nobody_of_that_name_or_number(layer: str, user: str) -> None:
    """Who has no sound line, and is no number that a user can have, is an error that names the option."""
    with pytest.raises(UsageError, match="--user"):
        resolve(user, [layer])
