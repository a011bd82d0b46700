"""COPY and ADD are read as docker's reference has them; every other form is one line with the file and its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybox.build import containerfile
from tinybox.build.files import copying
from tinybox.errors import UsageError


def request(text: str, workdir: str = "/", **values: str) -> copying.CopyRequest:
    """Read the last instruction of the Containerfile *text*."""
    file = containerfile.parse(text.encode("utf-8", "surrogateescape"), "Containerfile")
    return copying.read(file.instructions[-1], values, file.escape, {"WorkingDir": workdir})


@pytest.mark.parametrize(
    ("text", "workdir", "target", "into"),
    [
        ("COPY a /b", "/", "/b", False),
        ("COPY a /b/", "/", "/b", True),
        ("COPY a b", "/w", "/w/b", False),
        ("COPY a .", "/w", "/w", True),
        ("COPY a ./", "/w/x", "/w/x", True),
        ("COPY a ..", "/w/x", "/w", True),
        ("COPY a ../../../b", "/w", "/b", False),
        ("COPY a /b/.", "/", "/b", True),
        ("COPY a //b//c", "/", "/b/c", False),
        ("COPY a b", "", "/b", False),
        ("ADD a /", "/w", "/", True),
    ],
)
def test_the_target_follows_from_the_working_directory(text: str, workdir: str, target: str, into: bool) -> None:
    """It is an absolute path without ``..``, and a directory if its end says so."""
    found = request(text, workdir)
    assert (found.target, found.into_directory) == (target, into)


def test_variables_are_replaced_everywhere_but_in_from() -> None:
    """Sources, target and the values of flags; in single quotes nothing is replaced."""
    found = request(
        "COPY --from=base --chown=$U:1 --chmod=$M --exclude=*.$E $S '$S' \"${S}c\" /$T/",
        U="u",
        M="755",
        E="o",
        S="a",
        T="t",
    )
    assert (found.origin, found.chown, found.chmod, found.sources) == ("base", "u:1", "755", ["a", "$S", "ac"])
    assert found.target == "/t"
    assert found.excluded.leave_out("x.o")
    with pytest.raises(UsageError, match="--from cannot have a variable"):
        request("COPY --from=$B a b", B="base")


def test_the_json_form_takes_blanks() -> None:
    """A name may have blanks, and variables are replaced."""
    found = request('COPY ["a b", "$V", "/c d/"]', V="x y")
    assert (found.sources, found.target, found.into_directory) == (["a b", "x y"], "/c d", True)


def test_heredocs_are_sources() -> None:
    """Their names are those of the files; variables expand unless the end marker is quoted."""
    found = request("COPY <<one <<'two' plain /d/\n$V\none\n$V\ntwo\n", V="value")
    assert [(each.name, each.text) for each in found.heredocs] == [("one", "value\n"), ("two", "$V\n")]
    assert found.sources == ["plain"]


def test_switches() -> None:
    """--link and --parents stand alone or have a value; ADD unpacks unless --unpack=false."""
    assert request("COPY --parents --link a b").parents
    assert not request("COPY --parents=false a b").parents
    assert [request(f"ADD {flag} a b").unpacks for flag in ("--link", "--unpack", "--unpack=false")] == [
        True,
        True,
        False,
    ]
    assert not request("COPY a b").unpacks


def test_urls_are_told_from_files() -> None:
    """ADD fetches http and https."""
    found = request(f"ADD --checksum=sha256:{'a' * 64} https://host.example/x.tar /d/")
    assert (found.urls, found.sources) == (["https://host.example/x.tar"], [])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("COPY a", "it takes a source and a target"),
        ("COPY '' b", "it takes a source and a target"),
        ("COPY a ''", "it takes a source and a target"),
        ('COPY ["a"]', "it takes a source and a target"),
        ("COPY --nonsense a b", "unknown flag: --nonsense"),
        ("COPY --checksum=x a b", "unknown flag: --checksum"),
        ("ADD --from=x a b", "unknown flag: --from"),
        ("ADD --parents a b", "unknown flag: --parents"),
        ("COPY --chown=1 --chown=2 a b", "--chown is there twice"),
        ("COPY --chown= a b", "--chown has no value"),
        ("COPY --chown=${ a b", "--chown: ${ is not closed"),
        ("COPY --link=maybe a b", "--link=maybe is neither true nor false"),
        ("COPY --chmod=9 a b", "--chmod: 9 is not an octal number from 0 to 7777"),
        ("COPY --chmod=u+y a b", "--chmod: 'u+y' is not a mode of chmod(1)"),
        ("COPY --exclude=[ a b", "--exclude: pattern '['"),
        ("COPY https://host.example/x b", "COPY cannot fetch a URL"),
        ("ADD https://host.example/x.git b", "a git repository cannot be added"),
        ("ADD https://host.example/x.git#main:dir b", "a git repository cannot be added"),
        ("ADD git@host.example:x b", "a git repository cannot be added"),
        ("ADD http:///x b", "it is no URL with a host"),
        ("ADD http://[x b", "it is no URL with a host"),
        ("ADD http://host:port/x b", "it is no URL with a host"),
        ("ADD https://me:hidden@host/x b", "a URL with a user or a password is not fetched"),
        (f"ADD --checksum=sha256:{'a' * 64} x b", "--checksum takes one URL as the source"),
        (f"ADD --checksum=sha256:{'a' * 64} http://h/x http://h/y b/", "--checksum takes one URL as the source"),
        ("ADD --checksum=md5:00 http://h/x b", "--checksum=md5:00 is no checksum"),
        ("COPY 'a b", "a single quote is not closed"),
        ("COPY <<E /x\n${\nE\n", "heredoc E: ${ is not closed"),
    ],
)
def test_another_form_is_one_line_with_its_place(text: str, cause: str) -> None:
    """The line says where, what and how."""
    with pytest.raises(UsageError) as caught:
        request(f"FROM scratch\n{text}")
    line = str(caught.value)
    assert line.startswith("Containerfile:2: ")
    assert cause in line
    assert "\n" not in line


WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["--from=x", "--chown=$A", "--chmod=+x", "--exclude=*", "--parents", "--link", "<<E", "http://h/x", "."]
        ),
        st.text("ab$'\"\\{}[]*,:/-<= ", max_size=8),
    ),
    max_size=6,
).map(" ".join)


@given(st.sampled_from(["COPY", "ADD"]), WORDS)
def test_any_words_are_a_request_or_an_error(name: str, words: str) -> None:
    """The grammar has no other end."""
    line, target = "", "/"
    try:
        target = request(f"FROM x\n{name} {words}\n{'E' if '<<E' in words else ''}\n", A="b").target
    except UsageError as error:
        line = str(error)
    assert "\n" not in line
    assert target.startswith("/")
    assert ".." not in target.split("/")
