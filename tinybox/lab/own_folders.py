"""Labs and exercises of one's own: directories outside the package, which TINYBOX_LABS and --lab-dir name.

A lab is a file DIR/NAME.py, an exercise is a file DIR/exercises/NAME.py; in a name ``-`` stands for ``_`` of the file.
Files that begin with ``_`` or ``.`` are neither. The files are programs of this user, and run with this user's rights.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from types import ModuleType

VARIABLE = "TINYBOX_LABS"  # directories, separated by ":" as in PATH


def add(directory: str) -> None:
    """Look into *directory*, too, for the rest of this process; UsageError if it is no directory."""
    _checked(directory)
    os.environ[VARIABLE] = os.pathsep.join([directory, *filter(None, [os.environ.get(VARIABLE)])])


def directories() -> list[str]:
    """Return the absolute paths of the directories, without repetitions; UsageError if one does not exist."""
    named = filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))
    return list(dict.fromkeys(map(_checked, named)))


def _checked(directory: str) -> str:
    if not os.path.isdir(directory):
        raise UsageError(f"labs in {directory}", "there is no such directory", f"see --lab-dir, and {VARIABLE}")
    return os.path.realpath(directory)


def files(folder: str = "", taken: dict[str, str] | None = None) -> dict[str, str]:
    """Return name and path of every lab, or of every file in the subdirectory *folder*, such as ``exercises``.

    *taken* has the names and paths of the package's own. UsageError if two files have one name.
    """
    found = dict(taken or {})
    own = []
    for directory in directories():
        place = os.path.join(directory, folder) if folder else directory
        for file in sorted(os.listdir(place) if os.path.isdir(place) else ()):
            name = file.removesuffix(".py").replace("_", "-")
            if not file.endswith(".py") or file.startswith(("_", ".")):
                continue
            path = os.path.join(place, file)
            if name in found:
                raise UsageError(path, f"{found[name]} has the same name", "give the file another name")
            found[name] = path
            own.append(name)
    return {name: found[name] for name in own}


def load(path: str) -> ModuleType:
    """Run the file *path* as a module, and return it; UsageError, with the line, if that fails."""
    name = os.path.basename(path).removesuffix(".py")
    made = importlib.util.spec_from_file_location(f"tinybox_own_{name}", path)
    if made is None or made.loader is None:
        raise UsageError(path, "it is no file of Python")
    module = importlib.util.module_from_spec(made)
    try:
        made.loader.exec_module(module)
    except Exception as error:
        raise UsageError(place(path, error), printable(f"{type(error).__name__}: {error}")) from error
    return module


def place(path: str, error: Exception) -> str:
    """Return the path with the number of the last line of that file that the error went through."""
    lines = [error.lineno] if isinstance(error, SyntaxError) and error.filename == path else []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f"{path}:{lines[-1]}" if lines else path
