"""The ranges of host ids for private user namespaces, from the texts of subuid(5), passwd(5) and group(5)."""

from __future__ import annotations

from itertools import islice

from tinybox.isolation.allotment import END, FIRST, RANGE, Allotment


def test_all_container_ids_are_used_each_once() -> None:
    """If no file mentions them the ranges fill the space that systemd reserves for containers, without overlaps."""
    found = list(Allotment().after(FIRST))
    assert found[:2] == [FIRST + RANGE, FIRST + 2 * RANGE]
    assert found[-1] == FIRST
    assert sorted(found) == list(range(FIRST, END, RANGE))


def test_ids_in_use_are_not_given() -> None:
    """A range with ids of others in /etc/subuid or /etc/subgid, or of a user or group of the host, is left out."""
    texts = ("eve:524288:65536", "eve:655359:1\n# a comment\n", "ann:x:655360:0::/:/bin/sh", "some:x:851967:")
    assert list(islice(Allotment(*texts).after(0), 2)) == [FIRST + 3 * RANGE, FIRST + 5 * RANGE]
    assert next(Allotment().after(0)) == FIRST  # the control


def test_an_administrator_s_lines_limit_the_ranges() -> None:
    """Lines for tinybox of 65536 ids and more, in both files if both have some; shorter ones give nothing."""
    line = "tinybox:1000000:131072\ntinybox:5:65535\n"
    assert list(Allotment(line).after(1000000)) == [1065536, 1000000]
    assert list(Allotment(line, "tinybox:1065536:65536").after(0)) == [1065536]
    assert list(Allotment("", line).after(0)) == [1000000, 1065536]
    assert list(Allotment(line, "", "ann:x:1000001:0:").after(0)) == [1065536]
