"""The site: its pages are made, all links lead somewhere, and no page makes a browser ask another host."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards.sources import CHECKOUT
from tinybox.lab import course
from tinybox.workshop import levels
from tools.site import check, documents, lessons


def page(folder: Path, body: str, name: str = "page.html") -> list[str]:
    """Write a page with *body*, and return the complaints about its directory."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"<html><body>{body}</body></html>")
    return list(check.complaints(folder))


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/a.css">',
        '<img src="http://img.example/a.png">',
        "<style>@font-face { src: url('https://fonts.example/a.woff2'); }</style>",
        '<p style="background: url(//img.example/a.png)">',
        '<a href="nowhere.html">x</a>',
        '<a href="#nowhere">x</a>',
        '<img src="nowhere.png">',
    ],
)
def test_a_request_to_another_host_and_a_dead_link_are_found(tmp_path: Path, body: str) -> None:
    """The check bites: at scripts, style sheets, pictures, fonts, missing files and missing places."""
    assert len(page(tmp_path / "site", body)) == 1


def test_links_that_lead_somewhere_are_accepted(tmp_path: Path) -> None:
    """The control: an existing page and place, a picture in the page, and a link to another host that is clicked."""
    body = '<a id="here" href="page.html#here">x</a><img src="data:,"><a href="https://man7.org/">manual</a>'
    assert page(tmp_path / "site", body) == []


def test_a_style_sheet_that_loads_a_font_is_found(tmp_path: Path) -> None:
    """Style sheets in files of their own are read, too."""
    (tmp_path / "a.css").write_text('@import "https://fonts.example/css";')
    assert list(check.complaints(tmp_path)) == ["a.css: loads https://fonts.example/css"]


def test_text_of_the_code_is_text_on_the_page() -> None:
    """Marks of Markdown in a docstring are escaped, code stays code, and an indented part is a block of code."""
    assert lessons.plain("a * b_c `x * y` <tag>") == r"a \* b\_c `x * y` \<tag\>"
    assert lessons.paragraphs("One.\n\n    $ ls *\n\nTwo.") == "One.\n\n```text\n$ ls *\n```\n\n\nTwo."
    assert documents.fenced("```\n", "text").startswith("````text")


def test_a_student_does_not_see_a_path_of_the_host() -> None:
    """The first line of a student's file, the path of the interpreter here, is not on the page."""
    assert sys.executable in levels.skeleton(1)  # the control
    assert sys.executable not in lessons.level_page(1)


def test_a_recorded_run_is_on_the_page_of_its_lab(tmp_path: Path) -> None:
    """With a record the page has its output and the host's facts; without one it says that the lab was not run."""
    assert "was not run" in lessons.lab_page("fork", tmp_path)
    (tmp_path / "fork.txt").write_text("PASS  (0.1 s)\n")
    (tmp_path / "fork.html").write_text("<html></html>")
    (tmp_path / "fork.json").write_text(json.dumps({"kernel": "6.1", "cgroups": "v2"}))
    text = lessons.lab_page("fork", tmp_path)
    assert "PASS  (0.1 s)" in text
    assert "on Linux 6.1 with v2 control groups" in text
    assert 'href="fork-run.html"' in text


def test_the_idea_of_a_lab_unfolds_with_its_answer(tmp_path: Path) -> None:
    """A reader sees the question and not the idea, which would tell the answer."""
    folded = re.search("<details>(.*?)</details>(.*)", lessons.lab_page("fork", tmp_path), re.DOTALL)
    assert folded
    idea = lessons.paragraphs(course.description("fork"))
    assert [idea in part for part in folded.groups()] == [True, False]


@pytest.mark.slow
def test_the_site_is_built_and_every_link_of_it_leads_somewhere(tmp_path: Path) -> None:
    """Sphinx builds it without a warning, the check finds nothing, and each lab, lecture and level has a page.

    The control: one link and one script more in the built site are two complaints.
    """
    site = tmp_path / "site"
    done = subprocess.run([sys.executable, "-m", "tools.site", "--no-records", str(site)], cwd=CHECKOUT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"index\.html, \d+ pages\n$", done.stdout)
    assert {path.stem for path in (site / "labs").glob("*.html")} == {*course.ids(), "index"}
    assert len(list((site / "docs").glob("lecture-[0-9]*.html"))) >= 6
    assert len(list((site / "workshop").glob("[0-9]*.html"))) == len(levels.ORDER)
    front = site / "index.html"
    assert 'href="labs/index.html"' in front.read_text()
    front.write_text(front.read_text() + '<script src="https://cdn.example/x.js"></script><a href="gone.html">x</a>')
    assert list(check.complaints(site)) == ["index.html: loads https://cdn.example/x.js",
                                            "index.html: gone.html leads nowhere"]  # fmt: skip
