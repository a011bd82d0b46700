"""Variables in a compose file: ``${NAME}`` and its six endings, by the rules of the compose specification.

$NAME ${NAME}      its value, or nothing
${NAME:-word}      word, if NAME is unset or empty       ${NAME-word}   if it is unset
${NAME:+word}      word, if NAME is set and not empty    ${NAME+word}   if it is set
${NAME:?word}      an error, if it is unset or empty     ${NAME?word}   if it is unset
$$                 a dollar
"""

from __future__ import annotations

import re

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Unset = Callable[[str], object]

LONGEST = 128 << 10  # bytes: MAX_ARG_STRLEN, the most that execve(2) takes for one variable
DEEPEST = 20  # levels of variables inside the defaults of others
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENDING = re.compile(r":?[-+?]")


class AsWritten(dict[str, str]):
    """Variables of a file that are not filled in; *texts* gets each text of the file."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.texts: list[str] = []


def interpolate(text: str, variables: Mapping[str, str], unset: Unset = lambda _: None, depth: int = 0) -> str:
    """Return *text* with its variables filled in; UsageError if a required one is missing, or one is badly written.

    *unset* is called with the name of each variable that becomes nothing, because it is not set and has no default.

    A result that is longer than a variable can be is an error, too: otherwise a file of thirty lines, each of which
    doubles a variable, would fill the memory.
    """
    if isinstance(variables, AsWritten):
        variables.texts.append(text)
        return text
    done, at, length = list[str](), 0, 0
    while (dollar := text.find("$", at)) >= 0:
        done.append(text[at:dollar])
        if text.startswith("$", dollar + 1):
            value, at = "$", dollar + 2
        elif text.startswith("{", dollar + 1):
            end = _brace(text, dollar + 2)
            value, at = _expanded(text[dollar + 2 : end], variables, unset, depth), end + 1
        elif name := _NAME.match(text, dollar + 1):
            value, at = _value(name[0], variables, unset), name.end()
        else:
            raise UsageError("", f"{_shown(text)} has a $ that begins no variable", "write $$ for a dollar")
        done.append(value)
        length += len(value)
        if length > LONGEST:
            raise UsageError("", f"{_shown(text)} becomes more than {LONGEST >> 10} KiB", "no variable can hold that")
    return "".join([*done, text[at:]])


def _shown(text: str) -> str:
    return repr(text if len(text) < 80 else f"{text[:77]}...")


def _brace(text: str, at: int) -> int:
    """Return the index of the brace that closes the variable whose name begins at *at*; braces may be nested."""
    depth = 1
    for end in range(at, len(text)):
        depth += (text[end] == "{" and text[end - 1] == "$") - (text[end] == "}")
        if depth == 0:
            return end
    raise UsageError("", f"{_shown(text)} has a ${{ without its }}")


def _value(name: str, variables: Mapping[str, str], unset: Unset) -> str:
    if name not in variables:
        unset(name)
    return variables.get(name, "")


def _expanded(inside: str, variables: Mapping[str, str], unset: Unset, depth: int) -> str:
    if depth > DEEPEST:
        raise UsageError("", f"more than {DEEPEST} variables are nested", "name them one by one")
    name = _NAME.match(inside)
    rest = inside[name.end() :] if name else ""
    ending = _ENDING.match(rest)
    if name is None or (rest and ending is None):
        raise UsageError("", f"${{{_shown(inside)[1:-1]}}} is no variable", "write ${NAME} or ${NAME:-default}")
    if ending is None:
        return _value(name[0], variables, unset)
    value = variables.get(name[0])
    word = rest[ending.end() :]
    there = bool(value) if ending[0].startswith(":") else value is not None
    if ending[0].endswith("+"):
        return interpolate(word, variables, unset, depth + 1) if there else ""
    if there:
        return value or ""
    if ending[0].endswith("?"):
        raise UsageError(
            "",
            f"the variable {name[0]} is required: {interpolate(word, variables, unset, depth + 1) or 'it is not set'}",
        )
    return interpolate(word, variables, unset, depth + 1)
