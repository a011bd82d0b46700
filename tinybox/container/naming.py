"""What a container is called when nobody names it, and which names can be given."""

from __future__ import annotations

import os

from tinybox.errors import UsageError

_MOODS = (
    "able agile amber apt bold brave breezy bright brisk calm clear clever crisp deft eager early earnest fair "
    "fleet fond frank fresh gentle glad golden happy hardy honest jolly keen kind lively lucid lucky mellow merry "
    "mild neat nimble noble patient placid plain polite proud quick quiet ready rosy silent sincere smart snug "
    "sober steady still sunny sure swift tidy true trusty vivid warm wise witty young zesty"
).split()
_PEOPLE = (  # who made the machines, the kernels and the ideas that a container is made of
    "allen amdahl babbage backus bartik bell berners boole brooks cerf cheriton church clark codd corbato cox "
    "dahl dijkstra eckert engelbart fagin floyd goldberg gosling hamilton hamming hoare holberton hopper iverson "
    "johnson joy kahn karp kay kernighan kildall kleinrock knuth lampson leffler liskov lovelace mcilroy mckusick "
    "mccarthy metcalfe milner minsky naur newell nygaard ossanna perlis perlman pike plauger postel raymond "
    "ritchie rivest saltzer shannon shamir spafford stallman stevens strachey sutherland tanenbaum tarjan "
    "thompson torvalds turing wilkes wirth zuse"
).split()
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_LATER = _FIRST | frozenset("_.-")


def made_up() -> str:
    """Return a name such as ``brisk_ritchie``, with a few digits so that thousands do not collide."""
    mood, person, number = (int.from_bytes(os.urandom(4), "little") for _ in range(3))
    return f"{_MOODS[mood % len(_MOODS)]}_{_PEOPLE[person % len(_PEOPLE)]}{number % 1000:03}"


def checked(name: str) -> str:
    """Return *name* if docker would take it: a letter or digit, then letters, digits and ``_.-``; else UsageError."""
    if len(name) < 2 or name[0] not in _FIRST or not _LATER.issuperset(name):
        raise UsageError(f"container name {name!r}", "is not allowed", "use [a-zA-Z0-9][a-zA-Z0-9_.-] and what follows")
    return name
