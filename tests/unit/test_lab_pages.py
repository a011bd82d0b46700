"""The pages of labs: made from a record alone, without a network; and the page of a room from files of strangers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.errors import UsageError
from tinybox.lab import course, record
from tinybox.lab.bench import Bench
from tinybox.lab.course import Lab
from tinybox.pictures.series import Axis, Curve, Curves
from tinybox.seeing.lab_pages import lab as lab_page
from tinybox.seeing.lab_pages import room
from tinybox.seeing.lab_pages.parts import words

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "</script><script>document.title='led astray'</script><b>@BODY@"
CURVES = Curves(
    "Growth", "It grows.", "clock(3)", Axis("files"), Axis("microseconds"), [Curve("poll", [(1, 2), (3, 4)])]
)


def check(bench: Bench, *, feature: bool) -> None:
    """Note a figure of each side, a picture and a claim."""
    bench.on_host("PID", 4711, "/proc/4711/status")
    bench.in_box("PID", 1, "getpid(2)")
    bench.saw("both", NASTY, "`cat /proc/1/comm`")
    bench.draw(CURVES)
    bench.claim("it has two numbers", feature)


def made(**changes: Any) -> dict[str, Any]:
    """Return the record of a lab that is nothing but *check*, under the name of a real one."""
    lab = Lab("How many numbers?", "Two.", "the namespace is the host's", check)
    feature = changes.pop("feature", True)
    return {**record.of("pid", lab, course.conduct(lab, feature=feature), control=not feature), **changes}


def parts(page: str) -> dict[str, str]:
    """Return the parts of a page by their names."""
    return dict(re.findall(r'<article id="part\d+" data-name="([^"]*)">(.*?)</article>', page, re.DOTALL))


def test_the_page_has_all_that_the_lab_found() -> None:
    """Question, picture, evidence of both sides, claim, verdict and answer are parts of the page."""
    found = parts(lab_page.page(made()))
    assert list(found) == ["Question", "Growth", "Evidence", "Verdict", "Answer"]
    assert "How many numbers?" in found["Question"]
    assert found["Growth"].count("<svg") == 1
    assert "from clock(3)" in found["Growth"]
    row = next(row for row in found["Evidence"].split("<tr>") if ">PID<" in row)
    assert re.findall("<b class='mono'>(.*?)</b>", row) == ["4711", "1"]
    assert "<code>cat /proc/1/comm</code>" in found["Evidence"]
    assert "PASS" in found["Verdict"]
    assert "<b>yes</b> it has two numbers" in found["Verdict"]
    assert "Two." in found["Answer"]
    idea = words(made()["idea"])
    assert [name for name, part in found.items() if idea in part] == ["Answer"]  # before, it would tell the answer


def test_a_control_says_that_it_is_one() -> None:
    """The page of a control has its command line, and the claim that does not hold."""
    page = lab_page.page(made(feature=False))
    assert "tinybox lab run pid --control" in page
    assert "<b>NO</b> it has two numbers" in parts(page)["Verdict"]


def test_a_lab_without_a_picture_has_a_page() -> None:
    """Without figures for a picture, the evidence follows the question."""
    assert list(parts(lab_page.page(made(pictures=[])))) == ["Question", "Evidence", "Verdict", "Answer"]


@pytest.mark.parametrize(
    "page", [lab_page.page(made()), room.page([room.HandIn("ana", [made()])])], ids=["lab", "room"]
)
def test_the_page_asks_for_nothing_and_runs_nothing_strange(page: str) -> None:
    """No address of another host; markup in a figure is text, and the place of a part in it stays a word."""
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s>)]+)""", page)
    assert all(address.startswith(("data:", "#")) for address in addresses), addresses
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "<script>document.title" not in page
    assert "<b>@BODY@" not in page
    assert "@BODY@" in page


def test_a_room_side_by_side(tmp_path: Path) -> None:
    """Two hand-ins are two columns; a lab that one of them lacks is not run; a claim that failed is beside FAIL."""
    for name, records in {"ana": [made(), made(id="fork")], "ben": [made(feature=False, prediction="three")]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(records))
    page = room.page([room.HandIn(name, record.read(str(tmp_path / f"{name}.json"))) for name in ("ana", "ben")])
    heads = re.findall('<th scope="col">(.*?)</th>', page)[:3]
    assert heads == ["lab", "ana", "ben"]
    rows = {
        re.findall("mono'>(.*?)</b>|mono\">(.*?)</b>", row)[0]: row for row in page.split("<tr>") if 'href="#' in row
    }
    (pid, fork) = rows.values()
    assert "PASS" in pid
    assert "FAIL" in pid
    assert "it has two numbers" in pid
    assert "not run" in fork
    assert page.count("<svg") == 3
    assert "Predicted: three" in page
    assert "2 labs, 2 hand-ins: 2 PASS, 1 FAIL, 0 INCONCLUSIVE" in page


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[1]", '[{"id": "pid"}]', "[" * 100_000, "\udcff", json.dumps([made(verdict="GREAT")]),
     json.dumps([made(claims=[1])]), json.dumps([made(evidence=None)]), json.dumps([made(seconds="soon")])],
)  # fmt: skip
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    """One line that names the file, and the command that writes one."""
    path = tmp_path / "result.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="is no result of labs"):
        record.read(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The reason is the kernel's."""
    with pytest.raises(UsageError, match="No such file"):
        record.read(str(tmp_path / "none.json"))


def test_the_control_of_these_tests() -> None:
    """A claim that fails makes another page: these tests read the record and not a fixed text."""
    assert parts(lab_page.page(made()))["Verdict"] != parts(lab_page.page(made(feature=False)))["Verdict"]
