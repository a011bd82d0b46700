"""Strategies of hypothesis for what strangers write: JSON, archives, compose files, Containerfiles, templates, options.

Each begins with something sound and changes it, because random bytes are refused at the first byte.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.hostile import corpus, corpus_texts
from tests.support.image_archives import Member, archive, directory, hard_link, regular, symlink
from tinybox.container.config.options import OPTIONS

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "/", "..", "a,b=c", "a:b:c", "\x1b]0;t\x07", "\ud800", "9" * 400, "-1"]
)
SCALAR = st.none() | st.booleans() | st.integers() | st.sampled_from([2**31, 2**32, 2**63, -1, 0]) | st.floats() | TEXT
JSON = st.recursive(
    SCALAR, lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3), max_leaves=8
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Draw *document* with up to three of its values replaced by others."""
    for _ in range(draw(st.integers(1, 3))):
        places = list(corpus._places(document))
        document = corpus._changed(document, draw(st.sampled_from(places)), draw(JSON))
    return document


def _mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """Return *content* with a part cut out, doubled, or replaced."""
    place = st.integers(0, len(content))
    return st.tuples(place, place, st.binary(max_size=8)).map(
        lambda drawn: content[: min(drawn[:2])] + drawn[2] + content[max(drawn[:2]) :]
    )


NAMES = st.sampled_from(
    ["a", "a/b", "../a", "/a", "a/../../b", ".wh.a", ".wh..wh..opq", "a\udcff", "x" * 300, "", "./"]
)
MEMBERS: st.SearchStrategy[Member] = st.one_of(
    NAMES.map(directory),
    NAMES.map(regular),
    st.tuples(NAMES, NAMES).map(lambda pair: symlink(*pair)),
    st.tuples(NAMES, NAMES).map(lambda pair: hard_link(*pair)),
    st.tuples(NAMES, st.sampled_from([b"3", b"4", b"6", b"7", b"S", b"x"])).map(lambda pair: Member(*pair)),
    st.tuples(NAMES, st.sampled_from([-1, 0o7777, 1 << 40])).map(
        lambda pair: regular(pair[0], mode=pair[1] & 0o7777777)
    ),
)
ARCHIVES = st.lists(MEMBERS, max_size=5).map(archive).flatmap(lambda content: st.just(content) | _mutated(content))

COMPOSE = {
    "name": "fuzz",
    "services": {
        "a": {
            "image": "busybox", "command": ["true"], "environment": {"A": "b"}, "ports": ["8080:80"], "deploy": {},
            "volumes": ["v:/v", {"type": "tmpfs", "target": "/t"}],
            "depends_on": {"b": {"condition": "service_started"}},
            "healthcheck": {"test": ["CMD", "true"], "interval": "1s"}, "networks": ["n"], "mem_limit": "64m",
        },
        "b": {"image": "busybox", "build": {"context": "."}, "extends": {"service": "a"}, "env_file": ["x"]},
    },
    "volumes": {"v": {}},
    "networks": {"n": {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}},
}  # fmt: skip
COMPOSE_FILES = changed(COMPOSE).map(json.dumps) | st.lists(
    st.sampled_from(
        ["services:\n", "  a:\n", "    image: x\n", "    <<: *a\n", "&a ", "!!python/x ", "- ", "? ",
        "${A:-b}\n", "\t", ": ",
         "|\n", "'", '"', "[", "{", "\x00", "---\n", "!reset null\n"]
    ), max_size=12
).map("".join)  # fmt: skip

WORDS = (
    "FROM busybox\n", "RUN true\n", "COPY . /\n", "ADD x /\n", "ARG A=b\n", "ENV A=$A\n", "LABEL a=b\n",
    "WORKDIR /\n", "USER 0\n",
    "RUN --mount=type=cache,target=/x true\n", "COPY <<E /x\nE\n", "RUN <<E\n", 'CMD ["x"]\n',
    "CMD [\n", "ONBUILD ", "\x00",
    "HEALTHCHECK --interval=1s CMD x\n", "EXPOSE 80/tcp\n", "# escape=`\n", "\\\n", "--from=0 ", "${A",
    "$", "\udc80", "'", '"',
    "STOPSIGNAL 9\n", "SHELL []\n", "VOLUME [", "MAINTAINER\n", "FROM $A AS b\n",
)  # fmt: skip
CONTAINERFILES = st.lists(st.sampled_from(WORDS) | TEXT, max_size=8).map("".join)

PARTS = (
    "{{",
    "}}",
    ".Names",
    ".ID",
    "range ",
    "if ",
    "end",
    "else",
    "|",
    "$x := ",
    "$x",
    "json ",
    "printf ",
    '"%s"',
    '"%*d"',
    "(",
    ")",
    ".",
    "index ",
    "table ",
    "5",
    " ",
    '"',
    "`",
    "with ",
    "len ",
    "slice ",
    "- ",
    " -",
    "define",
    "template",
)
TEMPLATES = st.lists(st.sampled_from(PARTS), max_size=9).map("".join) | st.lists(
    st.sampled_from(PARTS), min_size=1, max_size=5
).map(lambda parts: "{{" + "".join(parts) + "}}")  # fmt: skip

_VALUES = st.sampled_from(
    [*corpus_texts.NUMBERS, "a=b", "/a:/b", "type=bind,source=/,target=/x", "a:b", "80:80", "host"]
)
# Words that this host would obey: its own namespaces, devices and files are left out
_NOT = {"privileged", "detach", "interactive", "tty", "step", "explain", "output", "break-at", "cidfile", "env-file",
        "label-file", "bundle", "pull", "help", "runtime", "platform", "root", "dry-run"}  # fmt: skip
_LONG = sorted(option.name for option in OPTIONS if option.name not in _NOT)
RUN_OPTIONS = st.lists(st.tuples(st.sampled_from(_LONG), _VALUES | TEXT), min_size=1, max_size=4).map(
    lambda pairs: [f"--{name}={value}" for name, value in pairs]
)
