"""Words of strangers in messages and tables are escaped; numbers and templates that no program can use are one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile import corpus_texts as corpus
from tests.hostile.conftest import SOAK

if TYPE_CHECKING:
    import random

    from tests.hostile.conftest import Store

pytestmark = pytest.mark.root

ESCAPES = ("\x1b]0;title\x07", "a\nb", "\x9b31m", "\x7f", "\u202eevil", "\u2028x", "a\tb", "\r")
PLACES = (  # commands whose error has the word in it
    "run -m WORD busybox", "run -u WORD busybox", "run -p WORD busybox", "run --name WORD busybox", "run WORD",
    "run --network WORD busybox", "run --sysctl WORD=1 busybox", "run --ulimit WORD=1 busybox", "run --WORD busybox",
    "exec WORD true", "inspect WORD", "rm WORD", "logs WORD", "start WORD", "rmi WORD", "save WORD", "cp WORD:/x .",
    "images WORD", "import WORD x:1", "load -i WORD", "network inspect WORD", "network rm WORD", "volume inspect WORD",
    "ps --filter WORD", "ps --format {{WORD}}", "events --since WORD", "compose -f WORD ps", "compose -p WORD ps",
    "lab show WORD", "explain WORD", "replay WORD", "completion WORD", "oci state WORD", "WORD",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_error_is_one_printable_line_whatever_word_is_in_it(store: Store, place: str) -> None:
    """No word of a command line, which a script may have taken from a stranger, sets a terminal's title."""
    for word in ESCAPES if SOAK else ESCAPES[:2]:
        done = store(*(each.replace("WORD", word) for each in place.split()))
        assert all(line.isprintable() for line in done.stdout.splitlines()), done
        assert done.stderr.count("\n") <= 1, done


def test_tables_escape_the_words_of_images_and_processes(store: Store) -> None:
    """Names, labels and command lines of a stranger stay in their cell: no escape sequence, no line, no column more."""
    word = "\x1b]0;title\x07\n\tx\u202e"
    store("run", "-d", "--name", "loud", "-l", f"a={word}", "busybox", "sh", "-c", "sleep 1000; : $0", word)
    try:
        for words in (
            ["ps", "--no-trunc", "--format", "table {{.Names}}\t{{.Labels}}\t{{.Command}}"],
            ["top", "loud"],
            ["tree", "loud"],
            ["ps"],
        ):
            done = store(*words)
            assert done.status == 0
            assert all(line.isprintable() for line in done.stdout.splitlines()), done
            assert done.stdout.count("\n") == (2 if words[0] == "ps" else 4), done
        assert json.loads(store("inspect", "loud").stdout)[0]["Config"]["Labels"] == {"a": word}
        raw = store("ps", "--format", "{{.Labels}}").stdout  # the control: a script that reads a pipe gets the value
        assert raw == f"a={word}\n"
    finally:
        store("rm", "-f", "loud")


@pytest.mark.parametrize("option", corpus.NUMBER_OPTIONS)
def test_a_number_that_no_option_takes_is_one_line(store: Store, option: str, chance: random.Random) -> None:
    """10^20, negative, NaN, infinite, other digits than 0-9, empty: accepted or refused, never a traceback."""
    for number in corpus.NUMBERS if SOAK else chance.sample(corpus.NUMBERS, 2):
        words = ["--health-cmd", "true"] if "health" in option else []
        done = store("run", "--dry-run", *words, option.replace("N", number), "busybox", "true")
        assert done.status in (0, 125), done
        assert done.stderr.count("\n") <= 1, done


def test_a_template_that_would_take_for_ever_is_one_line(store: Store, chance: random.Random) -> None:
    """Widths of 10^20, deep or long templates, nested ranges: an error in one line, or a result, and soon."""
    store("create", "--name", "rest", "busybox")
    for template in corpus.TEMPLATES if SOAK else (*corpus.TEMPLATES[:5], *chance.sample(corpus.TEMPLATES, 8)):
        for words in (["ps", "-a", "--format"], ["inspect", "rest", "--format"]):
            done = store(*words, template)
            assert done.stderr.count("\n") <= 1, done
            assert len(done.stdout) < 1 << 27
    for form in ("%999999999s", "%.99999999999999999999f", "%*d"):
        refusal = store.refused("ps", "-a", "--format", f'{{{{printf "{form}" 1000000000 5}}}}', status=1)
        assert "template: printf: a width or precision is larger than 1000000" in refusal
    assert store("ps", "-a", "--format", '{{printf "%-6s|" .Names}}').stdout == "rest  |\n"
    store("rm", "rest")


def test_a_hostile_compose_file_is_one_line(store: Store, tmp_path: Path, chance: random.Random) -> None:
    """Odd keys, deep nesting, odd tags and escapes, other types: an error in one line that names the place, or none."""
    path = tmp_path / "compose.yaml"
    for document in corpus.DOCUMENTS if SOAK else chance.sample(corpus.DOCUMENTS, 25):
        path.write_bytes(document.encode("utf-8", "surrogatepass"))
        for words in (["config"], ["ps", "-a"]) if SOAK else (["config"],):
            done = store("compose", "-f", str(path), *words)
            assert done.stderr.count("\n") <= 1, done
            assert all(line.isprintable() for line in done.stdout.splitlines()), done
