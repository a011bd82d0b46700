"""The instructions that change only the config of an image: ENV, LABEL, CMD, EXPOSE, HEALTHCHECK and the like.

WORKDIR is in building_stage.py, because it makes a directory. See docker's Containerfile reference, and "config" in the
OCI image-spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.build import variables
from tinybox.build.containerfile import json_words
from tinybox.build.stages import expanded_words
from tinybox.container.files import change_instructions as changes
from tinybox.text_values import duration, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.build.containerfile import Instruction
    from tinybox.build.state import State

_LEAST_TIME = 1_000_000  # nanoseconds: docker refuses a shorter interval of a health check
_CHECK_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}
_NO_TRIGGER = ("ONBUILD", "FROM", "MAINTAINER")


def apply(state: State, instruction: Instruction, escape: str) -> None:
    """Carry out *instruction*, whose name is in CHANGES; UsageError: it is wrong, with its line."""
    if instruction.flags and instruction.name != "HEALTHCHECK":
        raise instruction.wrong(f"unknown flag: --{instruction.flags[0][0]}", "it knows none")
    try:
        CHANGES[instruction.name](state, instruction, escape)
    except ValueError as error:
        raise instruction.wrong(str(error), "see docker's reference") from error
    state.record(instruction.original)


def _pairs(state: State, instruction: Instruction, escape: str) -> list[tuple[str, str]]:
    """Return the pairs of ``KEY=VALUE ...``, or of the old form ``KEY a value``, with their variables replaced."""
    first, *rest = instruction.text.split(maxsplit=1)
    if "=" not in first:
        if not rest:
            raise ValueError("it has no = between a name and its value")
        return [(first, variables.expand(rest[0], state.values, escape))]
    pairs = []
    for word in expanded_words(instruction, state.values, escape):
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ValueError(f"{word!r} is no NAME=VALUE")
        pairs.append((key, value))
    return pairs


def _command(key: str) -> Callable[[State, Instruction, str], None]:
    def change(state: State, instruction: Instruction, _: str) -> None:
        words = instruction.words
        state.config[key] = [*state.shell, instruction.text] if words is None else words
        if key == "Cmd":
            state.is_command_set = True
        elif not state.is_command_set:  # the base's command was meant for the base's entrypoint
            state.config.pop("Cmd", None)

    return change


def _environment(state: State, instruction: Instruction, escape: str) -> None:
    changes.add_variables(state.config, _pairs(state, instruction, escape))


def _labels(state: State, instruction: Instruction, escape: str) -> None:
    changes.add_labels(state.config, _pairs(state, instruction, escape))


def _expose(state: State, instruction: Instruction, escape: str) -> None:
    words = expanded_words(instruction, state.values, escape)
    changes.expose(state.config, [port for word in words for port in word.split()])


def _volumes(state: State, instruction: Instruction, escape: str) -> None:
    words = instruction.words
    if words is None:
        words = expanded_words(instruction, state.values, escape)
    else:
        words = [variables.expand(word, state.values, escape) for word in words]
    if not all(words):
        raise ValueError("a volume's path is empty")
    changes.add_volumes(state.config, words)


def _user(state: State, instruction: Instruction, escape: str) -> None:
    changes.set_user(state.config, _one(state, instruction, escape))


def _stop_signal(state: State, instruction: Instruction, escape: str) -> None:
    changes.set_stop_signal(state.config, _one(state, instruction, escape))


def _one(state: State, instruction: Instruction, escape: str) -> str:
    found = variables.expand(instruction.text, state.values, escape).strip()
    if not found or len(found.split()) != 1:
        raise ValueError("it takes one argument")
    return found


def _shell(state: State, instruction: Instruction, _: str) -> None:
    if not instruction.words:
        raise ValueError('it needs the JSON form: ["/bin/sh", "-c"]')
    state.config["Shell"] = instruction.words


def _maintainer(state: State, instruction: Instruction, _: str) -> None:
    state.document["author"] = instruction.text


def _trigger(state: State, instruction: Instruction, _: str) -> None:
    name = instruction.text.split(maxsplit=1)[0].upper()
    if name in _NO_TRIGGER:
        raise ValueError(f"{name} isn't allowed as an ONBUILD trigger")
    heredocs = "".join(f"\n{each.text}{each.name}" for each in instruction.heredocs)
    state.config["OnBuild"] = [*(state.config.get("OnBuild") or []), f"{instruction.text}{heredocs}"]


def _health_check(state: State, instruction: Instruction, _: str) -> None:
    kind, *rest = instruction.text.split(maxsplit=1)
    if kind.upper() == "NONE":
        if rest or instruction.flags:
            raise ValueError("NONE takes no argument and no flag")
        state.config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if kind.upper() != "CMD" or not rest:
        raise ValueError("it is NONE, or CMD and a command")
    check: dict[str, Any] = {}
    for name, value in instruction.flags:
        if name == "retries":
            if not is_whole(value):
                raise ValueError(f"--retries={value} is no number")
            check["Retries"] = int(value)
            continue
        if name not in _CHECK_TIMES:
            raise ValueError(f"unknown flag: --{name}")
        time = duration(value)
        if time is None or (time and time < _LEAST_TIME):
            raise ValueError(f"--{name}={value} is no time of at least 1ms")
        check[_CHECK_TIMES[name]] = time
    words = json_words(rest[0])
    state.config["Healthcheck"] = {"Test": ["CMD-SHELL", rest[0]] if words is None else ["CMD", *words], **check}


CHANGES: dict[str, Callable[[State, Instruction, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _environment,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health_check,
    "LABEL": _labels,
    "MAINTAINER": _maintainer,
    "ONBUILD": _trigger,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volumes,
}
