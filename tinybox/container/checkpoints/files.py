"""The files of a checkpoint: a directory with criu's images and tinybox.json, which says what came from outside.

The checkpoints of a container are BUNDLE/checkpoints/NAME, unless the user names another directory (--checkpoint-dir);
they are removed with the container. criu writes inventory.img last, before it kills the processes: a directory without
it is not a checkpoint, but what a killed or failed command has left.
"""

from __future__ import annotations

import os

from tinybox.container.checkpoints.outside import File
from tinybox.container.records import naming
from tinybox.errors import StateError, UnfitFileError, UsageError
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files, ownership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "checkpoints"  # in a container's bundle
NOTES, LAST = "tinybox.json", "inventory.img"
VERSION = 1  # of NOTES
_SHAPE = {
    "version!": int,
    "mounts!": [str],
    "files!": {"*": {"path!": str, "size!": int, "changed!": int, "mode!": int}},
    "streams!": [str],
    "network!": str,
    "terminal": bool,
    "addresses!": {"*": str},
}


class Notes:
    """What a checkpoint's tinybox.json says: the parts of the container that came from outside; see outside.py.

    *mounts* are mount points, *files* map the keys of files to the files, *streams* are the keys of stdin, stdout and
    stderr, *network* is the key of the network namespace ("" for the host's), *addresses* map networks to addresses.
    """

    def __init__(
        self,
        mounts: list[str],
        files: dict[str, File],
        streams: list[str],
        network: str,
        *,
        terminal: bool = False,
        addresses: dict[str, str] | None = None,
    ) -> None:
        self.mounts, self.files, self.streams, self.network = mounts, files, streams, network
        self.terminal, self.addresses = terminal, addresses or {}

    def save(self, folder: str) -> None:
        """Write tinybox.json into *folder*."""
        known = {key: file._asdict() for key, file in self.files.items()}
        text = json.dumps(vars(self) | {"version": VERSION, "files": known})
        files.replace(os.path.join(folder, NOTES), text.encode())


def load(folder: str, thing: str) -> Notes:
    """Return the notes of the checkpoint in *folder*; StateError: it is none of this version, or it is damaged."""
    try:
        found: Any = json.read_own(os.path.join(folder, NOTES), _SHAPE)
        damage = "" if found else "there is none"
    except ValueError as error:
        damage = str(error)
    if damage:
        raise StateError(thing, f"its file {NOTES} is missing or damaged: {damage}", f"see {folder}")
    if found.pop("version") != VERSION:
        raise StateError(thing, "was made by another version of tinybox", "make it again")
    known = {key: File(**file) for key, file in found["files"].items()}
    terminal, addresses = bool(found.get("terminal")), found["addresses"]
    return Notes(found["mounts"], known, found["streams"], found["network"], terminal=terminal, addresses=addresses)


def place(bundle: str, directory: str) -> str:
    """Return the directory of a container's checkpoints: *directory*, or that in its *bundle*."""
    if not directory:
        return os.path.join(bundle, FOLDER)
    return os.path.abspath(directory)


def check_name(name: str) -> None:
    """Raise UsageError if *name* cannot be the name of a checkpoint; docker has the same rule."""
    if not naming.is_allowed(name):
        raise UsageError("", f"Invalid checkpoint ID ({name})", "use [a-zA-Z0-9][a-zA-Z0-9_.-]+")


def is_complete(folder: str) -> bool:
    """Return whether *folder* is a checkpoint."""
    return os.path.isfile(os.path.join(folder, LAST))


def names(where: str) -> list[str]:
    """Return the names of the checkpoints in the directory *where*; none if it does not exist."""
    try:
        found = sorted(os.listdir(where))
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise UnfitFileError(where, "is no directory") from error
    return [name for name in found if is_complete(os.path.join(where, name))]


def memory(folder: str) -> int:
    """Return how many bytes of memory criu has written to *folder*."""
    return sum(each.stat().st_size for each in os.scandir(folder) if each.name.startswith("pages-"))


def make(where: str, name: str, container: str) -> str:
    """Make the directory of a new checkpoint, and return its path; StateError: there is one of this name.

    What an earlier command has left there half-made is removed.
    """
    folder = os.path.join(where, name)
    if is_complete(folder):
        cause = f"checkpoint with name {name} already exists for container {container}"
        raise StateError("", cause, f"tinybox checkpoint rm {container} {name}")
    if os.path.isfile(os.path.join(folder, NOTES)):
        files.remove_tree(folder)
    try:
        os.makedirs(where, 0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
    except OSError as error:
        raise StateError(f"checkpoint {folder}", f"cannot be made: {error.strerror}") from error
    ownership.check(folder)
    return folder


def find(where: str, name: str, container: str) -> str:
    """Return the directory of a checkpoint; StateError: there is none of this name."""
    folder = os.path.join(where, name)
    if "/" in name or not name.strip(".") or not is_complete(folder):
        cause = f"checkpoint {name} does not exist for container {container}"
        raise StateError("", cause, f"tinybox checkpoint ls {container}")
    check_owner(folder)
    return folder


def check_owner(folder: str) -> None:
    """Raise HostError if another user can have written to *folder*: processes come out of it, with root's rights."""
    ownership.check(folder)
