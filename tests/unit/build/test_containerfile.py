"""The parser of Containerfiles: directives, comments, continued lines, flags, JSON forms, heredocs, errors."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinybox.build.containerfile import LARGEST, Containerfile, Instruction, parse
from tinybox.errors import UsageError


def parsed(text: str) -> Containerfile:
    """Parse *text* as the file ``F``."""
    return parse(text.encode(), "F")


def one(text: str) -> Instruction:
    """Parse *text*, which has one instruction."""
    [found] = parsed(text).instructions
    return found


@pytest.mark.parametrize(
    ("text", "name", "rest"),
    [
        ("RUN a b", "RUN", "a b"),
        ("run\ta  b  ", "RUN", "a  b"),
        ("  Cmd x", "CMD", "x"),
        ("RUN a \\\n  b", "RUN", "a   b"),
        ("RUN a\\\nb", "RUN", "ab"),
        ("RUN a \\   \n b", "RUN", "a  b"),
        ("RUN a \\\n# not here\n\n  # nor here\n b", "RUN", "a  b"),
        ("RUN a # stays", "RUN", "a # stays"),
        ("RUN a \\", "RUN", "a"),
        ("RUN a\r\n", "RUN", "a"),
        ("\ufeffRUN a", "RUN", "a"),
        ("# escape=`\nRUN a `\n b \\c", "RUN", "a  b \\c"),
        ("#escape = `\n# syntax=x\nRUN a`\nb", "RUN", "ab"),
        ("# comment\n# escape=`\nRUN a \\\n b", "RUN", "a  b"),  # too late: a comment ends the directives
    ],
)
def test_lines_become_instructions(text: str, name: str, rest: str) -> None:
    """Names in any case, continued lines with comments in between, and directives only at the top."""
    found = one(text)
    assert (found.name, found.text) == (name, rest)


def test_places_are_those_of_the_first_line() -> None:
    """The number of a line counts comments and continued lines."""
    found = parsed("# c\n\nFROM a\nRUN b \\\n c\n\nRUN d\n").instructions
    assert [(each.name, each.line) for each in found] == [("FROM", 3), ("RUN", 4), ("RUN", 7)]


def test_flags_stand_in_front() -> None:
    """Flags with and without a value; a double dash ends them; later words are no flags."""
    found = one("COPY --from=a --link --chown=1:2 x --y z")
    assert found.flags == [("from", "a"), ("link", ""), ("chown", "1:2")]
    assert found.text == "x --y z"
    assert one("RUN -- --x").text == "--x"
    assert one("RUN --mount=type=bind,source=a,target=b --network=none c d").original == (
        "RUN --mount=type=bind,source=a,target=b --network=none c d"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('RUN ["a", "b c"]', ["a", "b c"]),
        ('CMD [ "a" ]', ["a"]),
        ("CMD []", []),
        ("CMD [a]", None),
        ("CMD ['a']", None),
        ("CMD [1]", None),
        ('CMD "a"', None),
        ('ENV ["a"]', None),
    ],
)
def test_json_forms(text: str, words: list[str] | None) -> None:
    """A list of strings in JSON is the exec form; everything else is the shell form, as for docker."""
    assert one(text).words == words


def test_heredocs() -> None:
    """Several of them, with stripped tabs, with quotes; the lines are not instructions."""
    found = parsed("FROM x\nRUN a <<A <<-'B'\nRUN no\n\tA\nA\n\tone\n\tB\nCMD y\n").instructions
    assert [each.name for each in found] == ["FROM", "RUN", "CMD"]
    assert [tuple(each) for each in found[1].heredocs] == [("A", "RUN no\n\tA\n", True), ("B", "one\n", False)]
    assert one('RUN echo "<<EOF"').heredocs == []
    assert one("RUN cat <<<word").heredocs == []
    assert one("ENV A=<<EOF").heredocs == []
    assert one("COPY <<E /x\n1\nE\n").heredocs[0].text == "1\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "F: has no instruction"),
        ("# only\n", "F: has no instruction"),
        ("FORM x", "F:1: unknown instruction: FORM"),
        ("COPI x", "did you mean COPY?"),
        ("RUN", "F:1: RUN: it has no argument"),
        ("RUN <<EOF\nx\n", "F:1: the heredoc EOF has no end"),
        ("# escape=x\nRUN a", "F:1: escape=x is neither"),
        ("# escape=`\n# escape=`\nRUN a", "F:2: the directive escape is there twice"),
    ],
)
def test_errors_name_the_line(text: str, says: str) -> None:
    """File, line and cause."""
    with pytest.raises(UsageError) as caught:
        parsed(text)
    assert says in str(caught.value)


def test_other_content_is_refused() -> None:
    """Bytes that are not UTF-8, and a file that is too large."""
    for content in (b"RUN \xff", b"#" * (LARGEST + 1)):
        with pytest.raises(UsageError):
            parse(content, "F")


@given(
    st.lists(st.sampled_from(["FROM a", "RUN b", "\\", "\n", "<<A", "A", "# escape=`", "`", '"', "--x=y", "\t", "["]))
)
@example(["RUN b", "<<A", "\n", "A"])
def test_any_text_ends(parts: list[str]) -> None:
    """Any mix of the grammar's pieces gives instructions or one error; every instruction has a known line."""
    text = "".join(parts)
    try:
        found = parsed(text)
    except UsageError:
        return
    assert all(1 <= each.line <= text.count("\n") + 1 for each in found.instructions)
