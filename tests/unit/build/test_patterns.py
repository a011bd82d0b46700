"""Patterns fit the paths that they fit for docker: the rules of Go's filepath.Match, ``**``, ``!`` and parents."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybox.build.files import patterns
from tinybox.build.files.patterns import Patterns
from tinybox.errors import UsageError

NAMES = st.text("ab.*?[]\\-^!é\n", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        *(("**", "file"), ("**/", "file"), ("**", "d/file"), ("**/**", "d/file"), ("d/**", "d/e/file"), ("*", "file")),
        *(("**/d", "d"), ("**/d", "d/file"), ("**/e/*", "d/e/file"), ("**/e/**", "d/e/f/file"), ("**file", "d/file")),
        *(
            ("**file", "d/thefile"),
            ("**/file*", "d/e/file.txt"),
            ("**/**/*.txt", "file.txt"),
            ("a**/*.txt", "a/b/f.txt"),
        ),
        *(("a/*.txt**", "a/file.txt"), ("a[b-d]e", "ace"), ("a[^b-d]e", "aze"), (".*", ".foo"), ("a.c", "a.c")),
        *(("abc?def", "abcZdef"), ("**/.foo", ".foo"), ("a(b)c/d", "a(b)c/d"), ("a.|)$(}+{bc", "a.|)$(}+{bc")),
        *(("a\\\\", "a\\"), ("a\\*b", "a*b"), ("a*", "ab/c"), ("[\\]a]", "]"), ("[x\\-]", "-"), ("[\\-x]", "-")),
        *(("a?b", "a☺b"), ("[a-é]*", "ä"), ("a*b?c*x", "abxbbxdbxebxczzx"), ("[!a]", "!"), ("d", "d/e/f"), ("d/", "d")),
        *(("/d", "d"), ("./d/../e", "e"), ("d//e", "d/e"), ("a[^b]c", "a/c"), ("*", "a\nb"), ("*b*[^x]*c", "b/c")),
    ],
)
def test_a_pattern_fits(pattern: str, path: str) -> None:
    """The path, or a directory above it, is what the pattern means."""
    assert Patterns([pattern], "x").leave_out(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        *(("a/*.txt", "a/d/f.txt"), ("**/**/*.txt2", "d/f.txt"), ("abc.def", "abcZdef"), ("abc?def", "abcdef")),
        *(("abc/**", "abc"), ("**/.foo", "bar.foo"), ("a?b", "a/b"), ("a*b", "a/b"), ("a*/b", "a/c/b"), ("e", "d/e")),
        *(("ab[e-g]", "abc"), ("ab[^c]", "abc"), ("a???b", "a☺b"), ("[x\\-]", "z"), ("[\\-x]", "a"), ("*.go", "file")),
        *(("a/**x", "a/bx"), ("../d", "d"), ("..", "d"), (".", "d"), ("/", "d"), ("dir", "dir2"), ("[!a]", "b")),
    ],
)
def test_a_pattern_does_not_fit(pattern: str, path: str) -> None:
    """The control: names that are near."""
    assert not Patterns([pattern], "x").leave_out(path)


@pytest.mark.parametrize(
    "pattern",
    ["[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "\\", "a\\", "[b-a]", "[a\\", "!", "!  "],
)
def test_a_wrong_pattern_is_an_error(pattern: str) -> None:
    """One line names the file and the pattern."""
    with pytest.raises(UsageError) as caught:
        Patterns([pattern], ".dockerignore")
    assert str(caught.value).startswith(".dockerignore: pattern ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "path", "out"),
    [
        (["docs", "!docs/README.md"], "docs/README.md", False),
        (["docs", "!docs/README.md"], "docs/x", True),
        (["!a.go", "*.go"], "a.go", True),
        (["*.go", "!a.go"], "a.go", False),
        (["**", "!util/web"], "util/web/foo", False),
        (["**", "!util/web", "util/web/foo"], "util/web/foo", True),
        (["*", "!keep*", "keep2"], "keep2", True),
        (["*", "!keep*", "keep2"], "keep1", False),
        (["a", "!a/b", "a"], "a/b", True),
        (["  a  "], "a", True),
    ],
)
def test_the_last_pattern_that_fits_decides(lines: list[str], path: str, out: bool) -> None:
    """``!`` takes in again what an earlier line leaves out, and a later line leaves it out again."""
    assert Patterns(lines, "x").leave_out(path) is out


def test_lines_of_a_file() -> None:
    """A byte order mark, blanks, empty lines, CR and comments do not count; a ``#`` behind a blank is no comment."""
    content = b"\xef\xbb\xbfa\r\n\n# c\n #d\n/e/\n! /keep\n\xff\xfe\n"
    found = patterns.read(content, "x")
    assert [found.leave_out(path) for path in ("a", "c", "#d", "e/f", "\udcff\udcfe")] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert not patterns.read(b"x\xc2\x85y\x0bz\n", "x").leave_out("x"), "only a newline ends a line"


@pytest.mark.parametrize(
    ("lines", "directory", "may"),
    [
        (["a", "!a/b/c"], "a", True),
        (["a", "!a/b/c"], "a/b", True),
        (["a", "!a/b/c"], "a/x", False),
        (["a", "!**/c"], "a/x", True),
        (["a", "!b"], "a", False),
        (["a", "!a/b"], "a/b/c", True),
        (["a"], "a", False),
    ],
)
def test_a_directory_is_walked_only_where_an_exception_may_fit(lines: list[str], directory: str, may: bool) -> None:
    """A directory that is left out is not read without a reason."""
    assert Patterns(lines, "x").may_take_in_below(directory) is may


@given(PATHS)
def test_an_escaped_path_fits_itself(path: str) -> None:
    """A backslash takes every special character its meaning, also a newline's neighbours."""
    escaped = "".join(f"\\{letter}" if letter in "*?[]\\-^!" else letter for letter in path)
    assert patterns.compiled(escaped, "x").fullmatch(path)
    assert patterns.literal(escaped) == path
    assert not patterns.has_wildcard(escaped)


@given(st.lists(st.sampled_from(["a", "!a", "a/b", "!a/b", "**/b", "!*", "*", "!a/*/b", "b/**"]), max_size=5), PATHS)
def test_the_walk_and_a_single_question_agree(lines: list[str], path: str) -> None:
    """Flags that are handed down from directory to directory give the same answer as the whole path."""
    found = Patterns(lines, "x")
    out = False
    flags: tuple[bool, ...] = ()
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        out, flags = found.below(flags, "/".join(parts[:count]))
    assert out is found.leave_out(path)
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    last = [line for line in lines if any(patterns.compiled(line.lstrip("!"), "x").fullmatch(each) for each in above)]
    assert out is bool(last and not last[-1].startswith("!"))


@given(st.text("ab*?[]^-!\\/.", max_size=12))
def test_any_text_is_a_pattern_or_one_error(text: str) -> None:
    """The parser ends, with an expression or with a UsageError."""
    line = ""
    try:
        Patterns([text], "x").leave_out("a/b/a")
    except UsageError as error:
        line = str(error)
    assert "\n" not in line


@given(st.text("ab*?/", min_size=1, max_size=12), st.text("ab/", max_size=12))
def test_the_fast_form_fits_the_same_paths(pattern: str, path: str) -> None:
    """The groups that are not tried again change no answer."""
    pattern = re.sub(r"\*+", "*", pattern)
    slow = "".join({"*": "[^/]*", "?": "[^/]"}.get(letter, letter) for letter in pattern)
    assert bool(patterns.compiled(pattern, "x").fullmatch(path)) is bool(re.fullmatch(slow, path))


def test_a_pattern_with_many_stars_is_fast() -> None:
    """A hostile pattern does not take the time of all ways to share a name among its stars."""
    start = time.monotonic()
    assert not Patterns(["*a" * 20 + "b"], "x").leave_out("a" * 250)
    assert Patterns(["*a" * 20], "x").leave_out("a" * 250)
    assert time.monotonic() - start < 2
