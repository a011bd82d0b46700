"""Podman's words for --userns: the maps that they mean, and what is wrong about a value."""

from __future__ import annotations

import pytest

from tinybox.container.config import podman_users
from tinybox.container.config.podman_users import PodmanUsers
from tinybox.container.records.spec_types import User
from tinybox.errors import UsageError
from tinybox.images import mapped_layers
from tinybox.isolation import idmap
from tinybox.isolation.rootless.home_ids import HomeIds


def rows(mappings: list[idmap.IDMapping]) -> list[tuple[int, int, int]]:
    """Return *mappings* as three numbers each, in the order of uid_map."""
    return [(each["containerID"], each["hostID"], each["size"]) for each in mappings]


@pytest.mark.parametrize(
    ("number", "count", "expected"),
    [
        (1000, 65536, [(0, 1, 1000), (1000, 0, 1), (1001, 1001, 64536)]),  # podman-run(1) has these rows
        (70000, 65536, [(0, 1, 65536), (70000, 0, 1)]),
        (0, 9, [(0, 0, 1), (1, 1, 9)]),
        (9, 9, [(0, 1, 9), (9, 0, 1)]),
    ],
)
def test_keep_id_is_a_permutation(number: int, count: int, expected: list[tuple[int, int, int]]) -> None:
    """The user's id has the number, and each id of the home has one place: no two ids of the box are the same."""
    found = idmap.keep_id(number, count)
    assert rows(found) == expected
    outer = [idmap.outer(found, each) for each in (*range(min(number, count) + 1), number)]
    assert sorted({*outer} - {-1}) == list(range(min(number, count) + 1))
    assert idmap.inner(found, 0) == number


def test_forced_mappings_are_in_place_of_the_others() -> None:
    """The ids around them keep their distance from the first; a mapping may also lie outside of the size."""
    forced: list[idmap.IDMapping] = [{"containerID": 5, "hostID": 2000, "size": 2}]
    assert rows(idmap.shifted(1, 10, forced)) == [(0, 1, 5), (7, 8, 3), (5, 2000, 2)]
    assert rows(idmap.shifted(1, 10)) == [(0, 1, 10)]
    forced[0]["containerID"] = 50
    assert rows(idmap.shifted(7, 10, forced)) == [(0, 7, 10), (50, 2000, 2)]


def test_ids_without_a_place() -> None:
    """An id that is not in the map has none outside, and is seen as nobody inside; others come back."""
    found = idmap.keep_id(7, 20)
    assert [idmap.inner(found, idmap.outer(found, each)) for each in range(21)] == list(range(21))
    assert (idmap.outer(found, 21), idmap.inner(found, 21)) == (-1, idmap.NOBODY)


def test_values() -> None:
    """Options are podman's; an empty list of them is none."""
    asked = PodmanUsers("keep-id:uid=5,gid=6")
    assert (asked.word, asked.uid, asked.gid, asked.is_own_user) == ("keep-id", 5, 6, False)
    assert PodmanUsers("keep-id:").is_own_user
    asked = PodmanUsers("auto:size=9,gidmapping=_1:2:3,uidmapping=4:5:6")
    assert (asked.size, *map(rows, asked.forced)) == (9, [(4, 5, 6)], [(1, 2, 3)])
    wrong = ("keep-id:size=1", "nomap:uid=1", "auto:uid=1", "auto:size=0", "auto:size=-1", "auto:uidmapping=1:2",
             "auto:gidmapping=1:2:0", "keep-id:uid=²", "keep-id:uid=4294967295")  # fmt: skip
    for text in wrong:
        with pytest.raises(UsageError, match="--userns " + text[:4]):
            PodmanUsers(text)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ("uidmapping=0:1:5,uidmapping=4:9:1", "two of uidmapping= have an id in common"),
        ("gidmapping=0:1:5,gidmapping=9:3:1", "two of gidmapping= have an id in common"),
        ("uidmapping=0:100:2", "leads to an id that the boxes of this user do not have"),
    ],
)
def test_mappings_that_the_kernel_would_refuse(options: str, cause: str) -> None:
    """The control is one that fits, up to the last id."""
    ids, user = HomeIds(1000, 1000, 100, 100), User(uid=0, gid=0)
    with pytest.raises(UsageError, match=cause):
        podman_users.maps(PodmanUsers(f"auto:size=5,{options}"), ids, [], user)
    fits = PodmanUsers("auto:size=5,uidmapping=0:100:1,uidmapping=7:0:1")
    assert rows(podman_users.maps(fits, ids, [], user)[0]) == [(1, 2, 4), (0, 100, 1), (7, 0, 1)]


def test_the_name_of_a_copy() -> None:
    """It differs with the map, and leads back to the layer."""
    paths = {mapped_layers.path_of("/root/layers/key/fs", text) for text in (b"0 1 5\n", b"0 1 6\n")}
    assert len(paths) == 2
    assert [mapped_layers.is_copy(path) for path in [*paths, "/root/layers/key/fs", "key"]] == [
        True,
        True,
        False,
        False,
    ]
    assert {*map(mapped_layers.original, [*paths, "/root/layers/key/fs"])} == {"/root/layers/key/fs"}
