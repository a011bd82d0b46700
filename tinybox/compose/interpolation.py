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
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENDING = re.compile(r":?[-+?]")


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Return *text* with its variables filled in; UsageError where one is required and missing, or badly written."""
    done, rest = [], text
    while "$" in rest:
        before, _, rest = rest.partition("$")
        done.append(before)
        if rest.startswith("$"):
            value, rest = "$", rest[1:]
        elif rest.startswith("{"):
            inside, rest = _braced(rest[1:], text)
            value = _expanded(inside, variables)
        elif name := _NAME.match(rest):
            value, rest = variables.get(name[0], ""), rest[name.end() :]
        else:
            raise UsageError("", f"{text!r} has a $ that begins no variable", "write $$ for a dollar")
        done.append(value)
    return "".join([*done, rest])


def _braced(rest: str, text: str) -> tuple[str, str]:
    """Return what stands before the brace that closes, and what after it; braces may be nested."""
    depth = 1
    for at, letter in enumerate(rest):
        depth += (letter == "{" and rest[at - 1 : at] == "$") - (letter == "}")
        if depth == 0:
            return rest[:at], rest[at + 1 :]
    raise UsageError("", f"{text!r} has a ${{ without its }}")


def _expanded(inside: str, variables: Mapping[str, str]) -> str:
    name = _NAME.match(inside)
    rest = inside[name.end() :] if name else ""
    ending = _ENDING.match(rest)
    if name is None or (rest and ending is None):
        raise UsageError("", f"${{{inside}}} is no variable", "write ${NAME} or ${NAME:-default}")
    value = variables.get(name[0])
    if ending is None:
        return value or ""
    word = rest[ending.end() :]
    there = bool(value) if ending[0].startswith(":") else value is not None
    if ending[0].endswith("+"):
        return interpolate(word, variables) if there else ""
    if there:
        return value or ""
    if ending[0].endswith("?"):
        raise UsageError("", f"the variable {name[0]} is required: {interpolate(word, variables) or 'it is not set'}")
    return interpolate(word, variables)
