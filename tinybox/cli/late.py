"""Modules that a file of commands uses: each is imported when a command runs, and not when only its help is printed.

A file names them twice, for the type checker and for the interpreter:

    if TYPE_CHECKING:
        from tinybox.container import pruning
    else:
        pruning = Late("tinybox.container.pruning")
"""

from __future__ import annotations

import sys
from typing import Any


class Late:
    """Stands for the module *name*, and imports it at the first use of one of its attributes.

    importlib.util.LazyLoader does not do this on CPython 3.11: there the import statement itself loads the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        __import__(self._name)  # not import_module(): Python reports only this to PYTHONPROFILEIMPORTTIME
        return getattr(sys.modules[self._name], attribute)
