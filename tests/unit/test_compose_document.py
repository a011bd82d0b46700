"""A compose file, read with line numbers: errors name their place; variables; several files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tinybox.compose.reading import document, dotenv, overriding
from tinybox.compose.reading.interpolation import interpolate
from tinybox.errors import HostError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

SET = {"FULL": "value", "EMPTY": "", "OTHER": "else"}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("plain", "plain"),
        ("$FULL-${FULL}.", "value-value."),
        ("[$UNSET][${UNSET}][${EMPTY}]", "[][][]"),
        ("${UNSET:-word} ${EMPTY:-word} ${FULL:-word}", "word word value"),
        ("${UNSET-word} [${EMPTY-word}] ${FULL-word}", "word [] value"),
        ("[${UNSET:+word}] [${EMPTY:+word}] ${FULL:+word}", "[] [] word"),
        ("[${UNSET+word}] ${EMPTY+word} ${FULL+word}", "[] word word"),
        ("${FULL:?no} ${FULL?no} [${EMPTY?no}]", "value value []"),
        ("${UNSET:-${OTHER:-x}}/${UNSET:-a}b}", "else/ab}"),
        ("${UNSET:-a-b:c?d}", "a-b:c?d"),
        ("$$FULL costs $$5", "$FULL costs $5"),
    ],
)
def test_a_variable_is_replaced_as_specified(text: str, means: str) -> None:
    """Each form of ${NAME}, with NAME full, empty and unset; $$ is a dollar."""
    assert interpolate(text, SET) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${UNSET:?your name}", "UNSET is required: your name"),
        ("${EMPTY:?}", "EMPTY is required"),
        ("${UNSET?x}", "UNSET is required: x"),
        ("${FULL", "without its }"),
        ("${}", "is no variable"),
        ("${FULL!}", "is no variable"),
        ("5 $ each", "begins no variable"),
    ],
)
def test_a_missing_or_malformed_variable_is_an_error(text: str, says: str) -> None:
    """The error names it, and has the file's own message."""
    with pytest.raises(UsageError, match=says.replace("$", r"\$")):
        interpolate(text, SET)


def written(tmp_path: Path, text: str, name: str = "compose.yaml") -> document.Field:
    """Return the document of a file with this *text*."""
    path = tmp_path / name
    path.write_text(text)
    return document.read(str(path), SET)


def test_values_keep_their_text(tmp_path: Path) -> None:
    """A port is no base-60 number, 1.10 keeps its zero, `no` is a string unless the key is a flag."""
    tree = written(tmp_path, "a: 22:22\nb: 1.10\nc: no\nd: ~\ne: '${FULL}'\n")
    assert {key: field.content for key, field in tree.mapping().items()} == {
        "a": "22:22",
        "b": "1.10",
        "c": "no",
        "d": None,
        "e": "value",
    }
    assert tree.mapping()["c"].flag() is False


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("a:\n  b: 1\n  c: 2\n", ":3: a.c", "does not know"),
        ("a:\n  b: 1\n\n  b: 2\n", ":4: a.b", "twice"),
        ("a:\n  - 1\n  - {x: ]\n", ":3", "no YAML"),
        ("a:\n  b: $5\n", ":2: a.b", "begins no variable"),
        ("a: &x\n  b: *x\n", "", "too deep"),
        ("a:\n  b: !secret 5\n", ":2: a.b", "a tag that tinybox does not know: !secret"),
        ("", "", "is empty"),
    ],
)
def test_an_error_is_named_with_its_line(tmp_path: Path, text: str, where: str, says: str) -> None:
    """Every error of a file begins with the file, the line and the key."""
    with pytest.raises(UsageError) as caught:
        written(tmp_path, text).mapping()["a"].mapping(("b",))
    assert f"compose.yaml{where}" in caught.value.thing
    assert says in str(caught.value)


def test_anchors_and_merge_keys_are_yamls(tmp_path: Path) -> None:
    """A key merged by `<<` applies unless the mapping has it; an extension x- is no key of compose."""
    tree = written(tmp_path, "x-base: &base {image: one, user: me}\na:\n  <<: *base\n  image: two\n  x-note: hi\n")
    found = tree.mapping()["a"].mapping(("image", "user"))
    assert {key: field.text() for key, field in found.items()} == {"image": "two", "user": "me"}
    assert "x-base" not in tree.mapping(["a"])


def test_a_second_file_changes_the_first(tmp_path: Path) -> None:
    """Mappings are merged, lists grow, strings and commands are replaced."""
    base = written(tmp_path, "s: {image: a, ports: [1], command: [x, y], env: {A: 1}}\n")
    over = written(tmp_path, "s: {image: b, ports: [2], command: [z], env: {B: 2}}\n", "over.yaml")
    assert overriding.merged(base, over).plain() == {
        "s": {"image": "b", "ports": [1, 2], "command": ["z"], "env": {"A": 1, "B": 2}}
    }


@pytest.mark.parametrize(
    ("below", "above", "means"),
    [
        ("environment: [A=1, B]", "environment: {A: 2, C: 3}", {"A": 2, "B": None, "C": 3}),
        ("environment: {A: 1}", "environment: [C=x=y]", {"A": 1, "C": "x=y"}),
        ("extra_hosts: ['a:1.2.3.4']", "extra_hosts: {b: '::1'}", {"a": "1.2.3.4", "b": "::1"}),
        ("depends_on: [db]", "depends_on: {job: {condition: x}}", {"db": None, "job": {"condition": "x"}}),
        ("networks: [front]", "networks: {back: {aliases: [a]}}", {"front": None, "back": {"aliases": ["a"]}}),
        ("tmpfs: /run", "tmpfs: [/run, /tmp]", ["/run", "/tmp"]),
        ("dns: 1.1.1.1", "dns: 9.9.9.9", ["1.1.1.1", "9.9.9.9"]),
        ("volumes: ['./a:/d', 'v:/e']", "volumes: ['./b:/d/:ro']", ["v:/e", "./b:/d/:ro"]),
        ("volumes: [/d, /e]", "volumes: [{type: tmpfs, target: /d}]", ["/e", {"type": "tmpfs", "target": "/d"}]),
        ("ports: ['80:80', '81']", "ports: ['80:80']", ["81", "80:80"]),
        ("ports: ['80:80']", "ports: !override ['90:80']", ["90:80"]),
        ("ports: ['80:80']", "ports: !reset []", None),
        ("user: me", "user: !reset null", None),
    ],
)
def test_a_second_file_may_use_another_form(tmp_path: Path, below: str, above: str, means: object) -> None:
    """Lists and mappings of equal meaning are merged; one path has one mount; tags replace and remove."""
    base, over = written(tmp_path, f"s: {{{below}}}\n"), written(tmp_path, f"s: {{{above}}}\n", "over.yaml")
    whole = overriding.settled(overriding.merged(base, over)).plain()["s"]
    assert whole == ({} if means is None else {below.partition(":")[0]: means})


def test_a_key_of_the_users_own_may_begin_with_x(tmp_path: Path) -> None:
    """In an environment X- is part of a name; among the keys of the specification it is an extension."""
    tree = written(tmp_path, "x-all: &all {x-trace: 1}\ns: {x-note: hi, environment: {x-id: 7, <<: *all}}\n")
    found = tree.mapping(["s"])["s"].mapping(["environment"])
    assert found["environment"].pairs() == {"x-trace": "1", "x-id": "7"}


def test_without_a_yaml_reader_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML is an extra; without it the error has its name, and no traceback."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(HostError, match=r"pip install 'tinybox\[compose\]'"):
        written(tmp_path, "a: 1\n")


def test_a_file_of_variables_is_read_as_by_a_shell(tmp_path: Path) -> None:
    """Comments, quotes of both kinds, `export`, a variable of an earlier line, and a bare name."""
    path = tmp_path / ".env"
    path.write_text(
        "# comment\n\nA=one # two\nB='$A # x'\nC=\"$A\\n\\$A\"\nexport D=${FULL:-no}/$A\nE\nF=\nG=a=b#c\n"
        "H='it\\'s \\n'\nI=\"one\n# two=2\nthree\" # end\nJ=j\n"
    )
    assert dotenv.read(str(path), SET) == {
        "A": "one",
        "B": "$A # x",
        "C": "one\n$A",
        "D": "value/one",
        "E": None,
        "F": "",
        "G": "a=b#c",
        "H": "it's \\n",
        "I": "one\n# two=2\nthree",
        "J": "j",
    }


def test_files_of_other_editors(tmp_path: Path) -> None:
    """A byte order mark at the beginning and CR LF are left out of variables and of compose files.

    A character that Unicode calls a line boundary, such as NEL, does not end a line.
    """
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=\"x\r\ny\"\r\n\r\nC='e\xc2\x85f\xe2\x80\xa8g'\r\n")
    assert dotenv.read(str(tmp_path / ".env"), {}) == {"A": "1", "B": "x\ny", "C": "e\x85f\u2028g"}
    (tmp_path / "compose.yaml").write_bytes(b"\xef\xbb\xbfa: ${A}\r\nb: |\r\n  two\r\n  lines\r\n")
    found = document.read(str(tmp_path / "compose.yaml"), {"A": "1"})
    assert {key: each.content for key, each in found.content.items()} == {"a": "1", "b": "two\nlines\n"}


@pytest.mark.parametrize(("line", "says"), [("A='x", "not closed"), ("=x", "is not NAME=VALUE"), ("A=${B?x}", "B is")])
def test_a_bad_line_of_variables_is_named(tmp_path: Path, line: str, says: str) -> None:
    """The error has the file and the line."""
    path = tmp_path / "vars"
    path.write_text(f"OK=1\n{line}\n")
    with pytest.raises(UsageError, match=f"vars:2: .*{says}"):
        dotenv.read(str(path), {})
