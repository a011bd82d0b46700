"""The finder of tinybox's own modules: it makes the import of a module cheaper than Python's own finders do.

``import tinybox.linux.process`` asks the finders in sys.meta_path for the module, and each run of a container loads a
hundred modules. Python's own finder knows nothing of a package: it reads directories, tries each name that a module can
have, and reads a .pyc file by ten system calls. tinybox knows where a module of its own is: it is the file
``tinybox/linux/process.py``, or of a package ``tinybox/linux/__init__.py``. So this finder makes one stat(2) of the
source, and reads the .pyc file by open(2), read(2) and close(2); see ADR 40.

The .pyc files are Python's, and so is the rule by which one is valid: the magic number of this Python, the time and the
size of the source (PEP 552). If a file is not valid, because the source was edited or the file is missing or of another
kind, Python's own loader makes the code, and writes the file again. Nobody but the owner of the directory
``__pycache__`` can place a file there, as before.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

_PREFIX = "tinybox."
_SUFFIX = f".{sys.implementation.cache_tag}.pyc"
_HEADER = 16  # bytes of a .pyc file before the code: magic number, flags, time and size of the source
_MOST = 1 << 15  # bytes that are read of a .pyc file; a longer one is left to Python's loader


def install() -> None:
    """Let Python ask this finder first, if it keeps .pyc files in their usual place under their usual names."""
    if sys.flags.optimize == 0 and sys.pycache_prefix is None:
        sys.meta_path.insert(0, Finder)


class Finder:
    """A finder for sys.meta_path, which knows the modules of tinybox and no others."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _: ModuleType | None = None) -> ModuleSpec | None:
        """Return where the module *name* is, below the directory of its package; None: Python has to look for it."""
        if not path or not name.startswith(_PREFIX):
            return None
        folder, word = path[0], name.rpartition(".")[2]
        spec = _spec_of_file(name, folder, word)
        if spec is None:
            spec = _spec_of_file(name, f"{folder}/{word}", "__init__")
            if spec is not None:
                spec.submodule_search_locations = [f"{folder}/{word}"]
        return spec


def _spec_of_file(name: str, folder: str, word: str) -> ModuleSpec | None:
    """Return the spec of a module whose source is the file *word* in *folder*; None: there is no such file."""
    source = f"{folder}/{word}.py"
    try:
        info = os.stat(source)
    except OSError:
        return None
    cached = f"{folder}/__pycache__/{word}{_SUFFIX}"
    spec = ModuleSpec(name, Loader(name, source, cached, info), origin=source)
    spec.has_location = True
    spec.cached = cached
    return spec


class Loader(SourceFileLoader):
    """Python's own loader, with a short way to a .pyc file that is valid."""

    def __init__(self, name: str, source: str, cached: str, info: os.stat_result) -> None:
        super().__init__(name, source)
        self._cached, self._info = cached, info

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the module, from its .pyc file if that is valid."""
        time, size = int(self._info.st_mtime) & 0xFFFFFFFF, self._info.st_size & 0xFFFFFFFF
        data = _read(self._cached)
        if data[:_HEADER] != MAGIC_NUMBER + bytes(4) + time.to_bytes(4, "little") + size.to_bytes(4, "little"):
            return super().get_code(fullname)
        try:
            code: CodeType = marshal.loads(memoryview(data)[_HEADER:])  # noqa: S302  as trusted as the source
        except (EOFError, TypeError, ValueError):  # the file is damaged behind its header; Python's loader would fail
            return self.source_to_code(self.get_data(self.path), self.path)
        _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]  # noqa: SLF001  Python's loader does so, too
        return code


def _read(path: str) -> bytes:
    """Return the content of the file *path*; b"" if it cannot be read, or is too long."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, _MOST)
        finally:
            os.close(fd)
    except OSError:
        return b""
    return data if len(data) < _MOST else b""
