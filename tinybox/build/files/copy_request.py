"""COPY and ADD: from an instruction to a request, with its variables replaced and every flag checked."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tinybox.build import variables
from tinybox.build.files import permissions
from tinybox.build.files.patterns import Patterns
from tinybox.build.variables import VariableError
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.build.containerfile import Heredoc, Instruction
    from tinybox.build.files.fetching import Download

FLAGS = {
    "COPY": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "ADD": ("chown", "chmod", "link", "exclude", "checksum", "unpack", "keep-git-dir"),
}
YES_OR_NO = frozenset({"link", "parents", "unpack", "keep-git-dir"})
PIVOT = "/./"  # in a source of --parents: only the directories behind it are made
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_HEREDOC = re.compile(r"\d*<<-?(.+)", re.DOTALL)
_GIT = re.compile(r"(git@|git://|ssh://)|https?://[^?#]*\.git/?(#.*)?$")


class CopyRequest(NamedTuple):
    """What one COPY or ADD shall do.

    *sources* are paths or patterns in the context, *urls* are fetched, *heredocs* have their content. *target* is an
    absolute path in the image; it is a directory if the instruction says so by its end (*into_directory*). *origin* is
    the value of --from, a stage or an image, or "". *unpack* is the value of --unpack, or None. *downloads* keeps what
    was fetched for the cache's key, and *stamps* how the files looked then.
    """

    instruction: Instruction
    sources: list[str]
    urls: list[str]
    heredocs: list[Heredoc]
    target: str
    into_directory: bool
    origin: str
    chown: str
    chmod: str
    excluded: Patterns
    parents: bool
    unpack: bool | None
    checksum: str
    downloads: dict[str, Download]
    stamps: list[str]

    @property
    def unpacks(self) -> bool:
        """Return whether an archive of the context is unpacked."""
        return self.instruction.name == "ADD" if self.unpack is None else self.unpack

    def wrong(self, error: UsageError) -> UsageError:
        """Return *error* with the place of the instruction."""
        return self.instruction.wrong(f"{error.thing}: {error.cause}", error.cure)


def read(
    instruction: Instruction, values: Mapping[str, str], escape: str, state_config: Mapping[str, object]
) -> CopyRequest:
    """Return the request of a COPY or ADD; *values* are its variables, *state_config* is OCI's image config so far.

    Of the config, only ``WorkingDir`` counts. UsageError names the line that is wrong.
    """
    words = _words(instruction, values, escape)
    *places, target = words if len(words) > 1 else ["", ""]
    flags, excludes = _flags(instruction, values, escape)
    sources, urls, heredocs = _sources(instruction, [place for place in places if place], values, escape)
    if not (sources or urls or heredocs) or not target:
        raise instruction.wrong("it takes a source and a target", f"{instruction.name} SOURCE... TARGET")
    _check(instruction, flags, sources, urls)
    unpack = flags.get("unpack")
    workdir = str(state_config.get("WorkingDir") or "/")
    return CopyRequest(
        instruction,
        sources,
        urls,
        heredocs,
        "/" + posixpath.normpath(posixpath.join("/", workdir, target)).lstrip("/"),
        target.endswith(("/", "/.", "/..")) or target in {".", ".."},
        flags.get("from", ""),
        flags.get("chown", ""),
        flags.get("chmod", ""),
        Patterns(excludes, f"{instruction.file}:{instruction.line}: --exclude"),
        flags.get("parents") == "true",
        None if unpack is None else unpack == "true",
        flags.get("checksum", ""),
        {},
        [],
    )


def _words(instruction: Instruction, values: Mapping[str, str], escape: str) -> list[str]:
    try:
        if instruction.words is not None:
            return [variables.expand(word, values, escape) for word in instruction.words]
        return variables.words(instruction.text, values, escape)
    except VariableError as error:
        raise instruction.wrong(str(error), "see docker's reference") from error


def _flags(instruction: Instruction, values: Mapping[str, str], escape: str) -> tuple[dict[str, str], list[str]]:
    """Return the flags with their values, ``true`` or ``false`` for a switch, and the values of --exclude."""
    known, found, excludes = FLAGS[instruction.name], dict[str, str](), list[str]()
    for name, value in instruction.flags:
        if name not in known:
            raise instruction.wrong(f"unknown flag: --{name}", f"one of {', '.join(f'--{each}' for each in known)}")
        if name in found:
            raise instruction.wrong(f"--{name} is there twice", "remove one")
        if name == "from" and "$" in value:
            cure = "FROM $NAME AS stage can, with an ARG before the first FROM; then --from=stage"
            raise instruction.wrong("--from cannot have a variable", cure)
        try:
            expanded = variables.expand(value, values, escape)
        except VariableError as error:
            raise instruction.wrong(f"--{name}: {error}", "see docker's reference") from error
        if name == "exclude":
            excludes.append(expanded)
        else:
            found[name] = _switch(instruction, name, expanded) if name in YES_OR_NO else expanded
            if not found[name]:
                raise instruction.wrong(f"--{name} has no value", f"--{name}=VALUE")
    return found, excludes


def _switch(instruction: Instruction, name: str, value: str) -> str:
    if value.lower() not in {"", "true", "false", "1", "0", "t", "f"}:
        raise instruction.wrong(f"--{name}={value} is neither true nor false", f"--{name}")
    return "false" if value.lower() in {"false", "0", "f"} else "true"


def _sources(
    instruction: Instruction, places: list[str], values: Mapping[str, str], escape: str
) -> tuple[list[str], list[str], list[Heredoc]]:
    """Split the sources into paths of the context, URLs, and heredocs, whose variables are replaced."""
    sources: list[str] = []
    urls: list[str] = []
    heredocs: list[Heredoc] = []
    waiting = iter(instruction.heredocs)
    for place in places:
        heredoc = next(waiting, None) if instruction.words is None and _HEREDOC.fullmatch(place) else None
        if heredoc is not None:
            text = heredoc.text
            if heredoc.expands:
                try:
                    text = variables.expand(text, values, escape, keeps_quotes=True)
                except VariableError as error:
                    raise instruction.wrong(f"heredoc {heredoc.name}: {error}", "see docker's reference") from error
            heredocs.append(heredoc._replace(text=text))
        elif instruction.name == "ADD" and _GIT.match(place):
            raise instruction.wrong(f"{place}: a git repository cannot be added", "RUN git clone, or clone it first")
        elif place.startswith(("http://", "https://")):
            if instruction.name == "COPY":
                raise instruction.wrong(f"{place}: COPY cannot fetch a URL", "ADD can")
            urls.append(place)
        else:
            sources.append(place)
    return sources, urls, heredocs


def _check(instruction: Instruction, flags: dict[str, str], sources: list[str], urls: list[str]) -> None:
    if "chmod" in flags and (cause := permissions.check(flags["chmod"])):
        raise instruction.wrong(f"--chmod: {cause}", "755, or u=rwX,go=rX")
    checksum = flags.get("checksum")
    if checksum is not None and (sources or len(urls) != 1):
        raise instruction.wrong("--checksum takes one URL as the source", "remove it, or split the instruction")
    if checksum is not None and not _CHECKSUM.fullmatch(checksum):
        raise instruction.wrong(f"--checksum={checksum} is no checksum", "sha256: and 64 hexadecimal digits")
    for url in urls:
        try:
            parts = urlsplit(url)
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_whole = False
        if not is_whole:
            raise instruction.wrong(f"{url}: it is no URL with a host", "https://HOST/PATH")
        if "@" in parts.netloc:
            cure = "RUN wget with a --mount=type=secret"
            raise instruction.wrong("a URL with a user or a password is not fetched", cure)
