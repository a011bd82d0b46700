"""The stages of a Containerfile: each FROM begins one; a stage may build on another, or copy files from it.

Only the stages that the target needs are built. Two that do not need each other can be built side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tinybox.build import variables
from tinybox.build.variables import VariableError
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.build.containerfile import Containerfile, Instruction

SCRATCH = "scratch"  # the empty image


class Stage(NamedTuple):
    """A stage: its *number*, its *name* or "", the *base* (an image, a stage's number, or SCRATCH), and its body.

    *platform* is the value of --platform, or "".
    """

    number: int
    name: str
    base: str | int
    platform: str
    begin: Instruction
    body: list[Instruction]

    @property
    def title(self) -> str:
        """Return the name by which messages call this stage."""
        return self.name or f"stage-{self.number}"


class Stages(NamedTuple):
    """The *stages* in their order, and the *arguments*: the platform, and the ARGs before the first FROM."""

    stages: list[Stage]
    arguments: dict[str, str]


def split(file: Containerfile, given: Mapping[str, str], platform: Mapping[str, str]) -> Stages:
    """Split the instructions into stages; *given* are the values of --build-arg, *platform* TARGETARCH and the like.

    UsageError: an instruction stands before FROM, or a FROM is wrong.
    """
    arguments = dict(platform)
    stages: list[Stage] = []
    for instruction in file.instructions:
        if instruction.name == "FROM":
            stages.append(_begun(instruction, stages, arguments, file.escape))
        elif stages:
            stages[-1].body.append(instruction)
        elif instruction.name == "ARG":
            arguments |= declared(instruction, arguments, given, file.escape)
        else:
            raise instruction.wrong("it stands before the first FROM", "only ARG may")
    if not stages:
        raise file.instructions[0].wrong("there is no FROM", "FROM scratch begins with an empty image")
    return Stages(stages, arguments)


def declared(
    instruction: Instruction, values: Mapping[str, str], given: Mapping[str, str], escape: str
) -> dict[str, str]:
    """Return the variables that an ARG declares, with the *given* value or its default; without one it is left out."""
    found: dict[str, str] = {}
    for word in expanded_words(instruction, {**values, **found}, escape):
        name, has_default, default = word.partition("=")
        if not name:
            raise instruction.wrong(f"{word!r} has no name", "ARG NAME[=DEFAULT]")
        if name in given:
            found[name] = given[name]
        elif has_default:
            found[name] = default
    return found


def expanded_words(instruction: Instruction, values: Mapping[str, str], escape: str) -> list[str]:
    """Return the words of an instruction with their variables replaced; UsageError names its line."""
    try:
        return variables.words(instruction.text, values, escape)
    except VariableError as error:
        raise instruction.wrong(str(error), "see docker's reference") from error


def target(stages: list[Stage], name: str) -> Stage:
    """Return the stage that --target names, by its name or its number; without a name the last one."""
    if not name:
        return stages[-1]
    for stage in stages:
        if name.lower() == stage.name or name == str(stage.number):
            return stage
    raise UsageError(f"--target {name}", "there is no such stage", f"one of {', '.join(each.title for each in stages)}")


def needed(stages: list[Stage], last: Stage) -> list[Stage]:
    """Return the stages that *last* needs, itself included, in their order."""
    found: set[int] = set()
    waiting = [last.number]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += needs(stages, stages[number])
    return [stage for stage in stages if stage.number in found]


def needs(stages: list[Stage], stage: Stage) -> list[int]:
    """Return the numbers of the stages that *stage* builds on, copies from or mounts."""
    found = [stage.base] if isinstance(stage.base, int) else []
    for instruction in stage.body:
        for name, value in instruction.flags:
            source = value if name == "from" else _mounted_from(value) if name == "mount" else ""
            other = numbered(stages[: stage.number], source)
            found += [other] if other is not None else []
    return found


def numbered(before: list[Stage], name: str) -> int | None:
    """Return the number of the stage *name* among the stages *before*; None: there is none, so it is an image."""
    for stage in before:
        if name and (name.lower() == stage.name or name == str(stage.number)):
            return stage.number
    return None


def _mounted_from(value: str) -> str:
    return next((part.removeprefix("from=") for part in value.split(",") if part.startswith("from=")), "")


def _begun(instruction: Instruction, before: list[Stage], values: Mapping[str, str], escape: str) -> Stage:
    words = expanded_words(instruction, values, escape)
    is_named = len(words) == 3 and words[1].upper() == "AS"
    if words and not (len(words) == 1 or is_named):
        raise instruction.wrong("it takes one image", "FROM IMAGE [AS NAME]")
    if not words or not words[0]:
        raise instruction.wrong("its image is empty", "give the ARG in it a value")
    name = words[2].lower() if is_named else ""
    if is_named and not (name[0].isalpha() and name.replace("-", "").replace("_", "").replace(".", "").isalnum()):
        raise instruction.wrong(f"{words[2]!r} is no name of a stage", "letters, digits, - _ . and a letter in front")
    if any(name and stage.name == name for stage in before):
        raise instruction.wrong(f"there is a stage {name} already", "choose another name")
    platform = ""
    for flag, value in instruction.flags:
        if flag != "platform":
            raise instruction.wrong(f"unknown flag: --{flag}", "FROM knows --platform")
        platform = variables.expand(value, values, escape)
    other = numbered(before, words[0])
    return Stage(len(before), name, words[0] if other is None else other, platform, instruction, [])
