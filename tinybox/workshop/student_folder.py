"""A student's directory: the programs to complete, the files of an image, and what the student has reached so far.

progress.json says which programs have passed, by their SHA-256, and how many hints were shown. So the student goes on
at the first level that has not passed, also on another day.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

from tinybox.errors import ConflictError, DamagedError, ImageError, UsageError
from tinybox.linux.filesystem import files
from tinybox.linux.quick_json import misfit
from tinybox.workshop import levels

if TYPE_CHECKING:
    from tinybox.images.store import Image

PROGRESS, ROOTFS = "progress.json", "rootfs"
SHAPE = {"passed!": {"*": str}, "hints!": {"*": range(100)}}
LONGEST = 1 << 20  # bytes of a student's program, or of progress.json
PASSED, CHANGED, OPEN = "passed", "changed", "open"


class StudentFolder:
    """The directory *path*; UsageError: `workshop new` has not made it."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        if not files.exists(f"{self.path}/{PROGRESS}"):
            raise UsageError(path, "this directory is no workshop", f"tinybox workshop new {path}")
        try:
            self._progress = json.loads(self._read(PROGRESS))
        except (ValueError, RecursionError) as error:
            raise self._damaged("it is not JSON") from error
        if wrong := misfit(self._progress, SHAPE):
            raise self._damaged(wrong)

    @property
    def rootfs(self) -> str:
        """Return the directory with the files of the image; UsageError: the student has removed it."""
        found = f"{self.path}/{ROOTFS}"
        if not files.exists(f"{found}/bin"):
            cure = f"remove what is left of it, then tinybox workshop new {self.path}"
            raise UsageError(found, "the files of the image are missing", cure)
        return found

    def program(self, number: int) -> str:
        """Return the text of the student's program of a level; UsageError: the student has removed the file."""
        try:
            return self._read(levels.file_name(number)).decode("utf-8", "surrogateescape")
        except FileNotFoundError as error:
            cure = f"tinybox workshop new {self.path} lays out a new one"
            raise UsageError(f"{self.path}/{levels.file_name(number)}", "the file is missing", cure) from error

    def state(self, number: int) -> str:
        """Return PASSED, CHANGED (the program has passed, and was changed since) or OPEN."""
        passed = self._progress["passed"].get(str(number))
        if not passed:
            return OPEN
        try:
            return PASSED if passed == _digest(self.program(number)) else CHANGED
        except UsageError:
            return CHANGED

    def next(self) -> int:
        """Return the first level that has not passed; the last level if all have."""
        numbers = range(1, len(levels.ORDER) + 1)
        return next((number for number in numbers if self.state(number) == OPEN), len(levels.ORDER))

    def note_passed(self, number: int, program: str) -> None:
        """Note on disk that the text *program* has passed level *number*."""
        self._progress["passed"][str(number)] = _digest(program)
        self._write()

    def unfold(self, number: int, most: int) -> int:
        """Note on disk that one more hint of at most *most* is shown; return how many are shown now."""
        shown: int = min(self._progress["hints"].get(str(number), 0) + 1, most)
        self._progress["hints"][str(number)] = shown
        self._write()
        return shown

    def _write(self) -> None:
        _put(self.path, PROGRESS, json.dumps(self._progress, indent=2) + "\n", 0o644)

    def _read(self, name: str) -> bytes:
        place = os.open(f"{self.path}/{name}", os.O_PATH)
        try:
            return files.read_regular(place, name, LONGEST)
        finally:
            os.close(place)

    def _damaged(self, why: str) -> DamagedError:
        cure = f"remove it, then tinybox workshop new {self.path}; the programs stay"
        return DamagedError(f"{self.path}/{PROGRESS}", why, cure)


def lay_out(path: str, image: Image) -> list[str]:
    """Make the directory *path* with all that a student needs, and return the names of the new files in it.

    In a workshop that exists, only files that are missing are made: the student's own stay as they are. ConflictError:
    the directory has other files. Files belong to the user who has called sudo(8). After a kill, calling it again
    completes the directory.
    """
    os.makedirs(path, exist_ok=True)
    _give_away(path)
    present = set(os.listdir(path))
    names = {levels.file_name(number): number for number in range(1, len(levels.ORDER) + 1)}
    if present and not present & {PROGRESS, ROOTFS, f"{ROOTFS}.new", *names}:
        raise ConflictError(path, "the directory has other files", "name a new or an empty one")
    if ROOTFS not in present:
        _unpack(path, image)
    for name, number in names.items():
        if name not in present:
            _put(path, name, levels.skeleton(number), 0o755)
    if PROGRESS not in present:
        _put(path, PROGRESS, json.dumps({"passed": {}, "hints": {}}) + "\n", 0o644)
    return [each for each in (*names, PROGRESS, ROOTFS) if each not in present]


def _unpack(path: str, image: Image) -> None:
    if len(image.layers) != 1:
        raise ImageError(image.asked, f"it has {len(image.layers)} layers, the workshop needs one", "")
    draft = f"{path}/{ROOTFS}.new"
    if files.exists(draft):
        files.remove_tree(draft)
    os.mkdir(draft, 0o755)
    # Another `workshop new` of this directory may copy at the same time: its links are removed, not followed.
    command = ["cp", "-a", "--remove-destination", "--", f"{image.layers[0]}/.", draft]
    done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise ImageError(image.asked, f"its files cannot be copied: {done.stderr.decode(errors='replace').strip()}")
    os.rename(draft, f"{path}/{ROOTFS}")


def _put(path: str, name: str, text: str, mode: int) -> None:
    files.replace(f"{path}/{name}", text.encode(), mode)
    _give_away(f"{path}/{name}")


def _give_away(path: str) -> None:
    """Give a file to the user who has called sudo(8); see chown(2)."""
    ids = [os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if os.geteuid() == 0 and all(text.isdecimal() for text in ids):
        os.chown(path, int(ids[0]), int(ids[1]), follow_symlinks=False)


def _digest(program: str) -> str:
    return hashlib.sha256(program.encode("utf-8", "surrogateescape")).hexdigest()
