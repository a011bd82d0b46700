"""Read a Containerfile: from lines to instructions, each with its flags, its arguments and its heredocs.

The form is that of docker's reference: parser directives at the top, comments, continued lines, and heredocs. Nothing
is expanded here, because the value of a variable depends on the instructions before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import UsageError
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 16 << 20  # bytes of a Containerfile
DIRECTIVES = frozenset({"syntax", "escape", "check"})
HEREDOCS = frozenset({"RUN", "COPY", "ADD"})  # the instructions that may have one
JSON_FORM = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "VOLUME", "COPY", "ADD"})
NAMES = frozenset(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME "
    "WORKDIR".split()
)
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"(?<!<)(\d*)<<(-?)(?:'([^'\s<]+)'|\"([^\"\s<]+)\"|([^\s<'\"&|;()]+))")
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(.*))?", re.DOTALL)


class Heredoc(NamedTuple):
    """The lines below an instruction: their *name* (the end marker), their *text*, and whether variables expand."""

    name: str
    text: str
    expands: bool


class Instruction(NamedTuple):
    """One instruction: *name* in capitals, *flags* (name and value), *text* as written, and *heredocs*.

    *words* is the list of the JSON form, and None in the shell form. *line* is where it begins in the *file*.
    """

    name: str
    flags: list[tuple[str, str]]
    text: str
    words: list[str] | None
    heredocs: list[Heredoc]
    file: str
    line: int

    def wrong(self, cause: str, cure: str = "") -> UsageError:
        """Return the error for this instruction, with its place."""
        return UsageError(f"{self.file}:{self.line}: {self.name}", cause, cure)

    @property
    def original(self) -> str:
        """Return the instruction in one line, as docker shows it while it builds."""
        flags = "".join(f"--{name}{'=' if value else ''}{value} " for name, value in self.flags)
        return f"{self.name} {flags}{' '.join(self.text.split())}".rstrip()


class Containerfile(NamedTuple):
    """A whole file: its *instructions*, and the *escape* character."""

    instructions: list[Instruction]
    escape: str


def parse(content: bytes, file: str) -> Containerfile:
    """Parse the *content* of *file*, whose name is for messages; UsageError names the line that is wrong."""
    if len(content) > LARGEST:
        raise UsageError(file, f"is larger than {LARGEST >> 20} MiB", "this is hardly a Containerfile")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(file, "is not text in UTF-8", "correct it") from error
    lines = _Lines(text, file)
    found = [_instruction(*logical) for logical in lines.logical()]
    if not found:
        raise UsageError(file, "has no instruction", "it begins with FROM")
    return Containerfile(found, lines.escape)


class _Lines:
    """The lines of a file, joined where a line ends with the escape character."""

    def __init__(self, text: str, file: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._file, self._at = file, 0
        self.escape = "\\"
        self._read_directives()
        self._continued = re.compile(rf"{re.escape(self.escape)}[ \t]*$")

    def _read_directives(self) -> None:
        """Read the comments of the form ``# name=value`` above everything else."""
        seen = set()
        for number, line in enumerate(self._lines):
            match = _DIRECTIVE.fullmatch(line.strip())
            name = match[1].lower() if match else ""
            if not match or name not in DIRECTIVES:
                return
            if name in seen:
                raise UsageError(f"{self._file}:{number + 1}", f"the directive {name} is there twice", "remove one")
            seen.add(name)
            if name == "escape":
                if match[2] not in {"\\", "`"}:
                    raise UsageError(
                        f"{self._file}:{number + 1}", f"escape={match[2]} is neither \\ nor `", "use one of them"
                    )
                self.escape = match[2]

    def logical(self) -> Iterator[tuple[str, list[Heredoc], str, int]]:
        """Yield each instruction's text in one line, its heredocs, the file, and the number of its first line."""
        while self._at < len(self._lines):
            first = self._at
            line = self._lines[self._at].lstrip()
            self._at += 1
            if not line.strip() or line.startswith("#"):
                continue
            text = self._joined(line)
            if not text:
                continue  # only the character that continues a line
            yield text, list(self._heredocs(text, first + 1)), self._file, first + 1

    def _joined(self, line: str) -> str:
        """Return *line* with the lines that continue it; comments and empty lines between them do not count."""
        parts = [line]
        while match := self._continued.search(parts[-1]):
            parts[-1] = parts[-1][: match.start()]
            following = self._next_continued()
            if following is None:
                break
            parts.append(following)
        return "".join(parts).rstrip()

    def _next_continued(self) -> str | None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if line.strip() and not line.lstrip().startswith("#"):
                return line
        return None

    def _heredocs(self, text: str, number: int) -> Iterator[Heredoc]:
        """Take the heredocs that *text* begins from the lines below it."""
        name = text.split(maxsplit=1)[0].upper()
        if name == "ONBUILD":
            name = [*text.split(maxsplit=2), "", ""][1].upper()
        if name not in HEREDOCS or json_words(text.partition(" ")[2]) is not None:
            return
        for _, dash, single, double, plain in _HEREDOC.findall(_without_quotes(text)):
            marker = single or double or plain
            yield Heredoc(marker, self._until(marker, number, strips_tabs=bool(dash)), bool(plain))

    def _until(self, marker: str, number: int, *, strips_tabs: bool) -> str:
        found: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            line = line.lstrip("\t") if strips_tabs else line
            if line == marker:
                return "".join(f"{each}\n" for each in found)
            found.append(line)
        raise UsageError(f"{self._file}:{number}", f"the heredoc {marker} has no end", f"a line that is {marker} alone")


def _instruction(text: str, heredocs: list[Heredoc], file: str, line: int) -> Instruction:
    """Split the *text* of an instruction into its name, its flags and its arguments."""
    name, _, rest = text.partition(" ") if " " in text and "\t" not in text.split(" ", 1)[0] else _at_blank(text)
    name = name.upper()
    if name not in NAMES:
        near = next((each for each in sorted(NAMES) if each[:3] == name[:3]), "")
        cure = f"did you mean {near}?" if near else f"one of {', '.join(sorted(NAMES))}"
        raise UsageError(f"{file}:{line}", f"unknown instruction: {name[:40]}", cure)
    flags, rest = _flags(rest.strip())
    words = json_words(rest) if name in JSON_FORM else None
    found = Instruction(name, flags, rest, words, heredocs, file, line)
    if not rest and name != "ARG":
        raise found.wrong("it has no argument", "see docker's reference")
    return found


def _at_blank(text: str) -> tuple[str, str, str]:
    name, *rest = text.split(maxsplit=1)
    return name, " ", rest[0] if rest else ""


def _flags(text: str) -> tuple[list[tuple[str, str]], str]:
    """Split the flags, ``--name=value`` and ``--name``, from the beginning of *text*."""
    found: list[tuple[str, str]] = []
    while text.startswith("--"):
        word, *rest = text.split(maxsplit=1)
        if word == "--":
            return found, rest[0] if rest else ""
        match = _FLAG.fullmatch(word)
        if not match:
            break
        found.append((match[1], match[2] or ""))
        text = rest[0] if rest else ""
    return found, text


def json_words(text: str) -> list[str] | None:
    """Return the list of the JSON form ``["a", "b"]``; None: this is the shell form, as for docker."""
    if not text.lstrip().startswith("["):
        return None
    try:
        found = quick_json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else None


def _without_quotes(text: str) -> str:
    """Return *text* without its quoted parts, in which ``<<`` is no heredoc; a quoted end marker stays."""
    return re.sub(r"(?<!<<)(?<!<<-)(\"(?:\\.|[^\"\\])*\"|'[^']*')", "", text)
