"""Compare a stack of layers, the bottom one first: what each one adds, changes and hides, and what it covers.

The layers have overlayfs's form: a hidden file is a character device 0:0 (a whiteout), and a directory with the
attribute "opaque" hides what lower layers have in it. `Stack` keeps the tree that the layers so far come to, as
overlayfs would show it; see "whiteouts and opaque directories" in the kernel's documentation of overlayfs.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import ImageError
from tinybox.images.same_content import has_same_content
from tinybox.linux.filesystem.files import LONGEST_PATH, Descent
from tinybox.linux.filesystem.overlay_marks import has_mark, has_origin, infos, is_whiteout, opaque_of_layers

if TYPE_CHECKING:
    from collections.abc import Collection

    Children = dict[str, "Node"]
    Facts = tuple[int, int, int, int, int, int]

ADDED, CHANGED, HIDDEN = "A", "C", "D"  # the letters of docker-diff(1)
WHITEOUT, OPAQUE = "whiteout", "opaque"  # how a file is hidden
CONTENT, METADATA, NOTHING = "content", "metadata", "nothing"  # what differs between two versions of a file


class Content:
    """The data of a regular file: its *size* in bytes, its layer, and how many names of the merged tree it has."""

    __slots__ = ("layer", "names", "size")

    def __init__(self, layer: int, size: int) -> None:
        self.layer, self.size, self.names = layer, size, 0


class Node:
    """A file of the merged tree: the number of its *layer*, its *facts*, and for a directory its *children*."""

    __slots__ = ("children", "content", "facts", "layer")

    def __init__(self, layer: int, facts: Facts, content: Content | None) -> None:
        self.layer, self.facts, self.content = layer, facts, content
        self.children: Children | None = {} if stat.S_ISDIR(facts[0]) else None
        if content is not None:
            content.names += 1

    @property
    def size(self) -> int:
        """The size of a regular file in bytes; 0 of any other file."""
        return self.content.size if self.content else 0


class Change(NamedTuple):
    """One difference between a layer and the layers below it.

    *kind* is ADDED, CHANGED or HIDDEN; *path* begins with a slash. *size* is that of the file in this layer, *former*
    of the file that it covers, in the layer *below*, in bytes. *files* is the number of files below that are not seen
    any more, which is more than one for a directory. *how*: the part that has changed, or the mark that hides the file.
    *copied*: overlayfs has copied the file up from the layer *below*, so *former* bytes were copied.
    """

    kind: str
    path: str
    mode: int
    size: int = 0
    former: int = 0
    below: int = 0
    files: int = 0
    how: str = ""
    copied: bool = False


class _Folder(NamedTuple):
    """A directory during the walk: its name and *path*, its *node*, and the *former* files there, of lower layers.

    If this layer hides what is below, *former* is not the dictionary of *node*; what remains in *former* is hidden.
    """

    name: str
    path: str
    node: Node
    former: Children


class Stack:
    """The layers that were added so far. *covered* has, for each layer, the bytes that each later layer covers."""

    def __init__(self) -> None:
        self.root = Node(0, (stat.S_IFDIR, 0, 0, 0, 0, 0), None)
        self.covered: dict[int, dict[int, int]] = {}
        self.trees: dict[int, str] = {}
        self.sizes: dict[int, int] = {}

    def add(
        self,
        tree: str,
        number: int,
        mark: str = "",
        without: Collection[str] = (),
        *,
        is_upper: bool = False,
    ) -> list[Change]:
        """Add the layer *number*, whose files are in the directory *tree*; return its changes, sorted by path.

        *mark* is the attribute of opaque directories, that of layers if it is empty. Paths in *without* are passed
        over. With *is_upper* the tree is the upper directory of an overlay, perhaps of a running container, and
        `Change.copied` is found out.
        ImageError: a path is longer than PATH_MAX.
        """
        self.trees[number] = tree
        layer = _Layer(self, number, mark or opaque_of_layers(), without, is_upper=is_upper)
        top = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with Descent(top) as here:
                layer.walk(here)
        finally:
            os.close(top)
        return sorted(layer.changes, key=lambda change: (change.path, change.kind))

    def cover(self, node: Node, by: int) -> tuple[int, int]:
        """Take *node* and all below it out of view; return the number of files, and the bytes that nobody sees now.

        A file with several names is covered with its last one.
        """
        pending, files, size = [node], 0, 0
        while pending:
            one = pending.pop()
            files += 1
            pending += (one.children or {}).values()
            if one.content is None:
                continue
            one.content.names -= 1
            if not one.content.names:
                size += one.content.size
                lost = self.covered.setdefault(one.content.layer, {})
                lost[by] = lost.get(by, 0) + one.content.size
        return files, size


class _Layer:
    """The walk through one layer."""

    def __init__(self, stack: Stack, number: int, mark: str, without: Collection[str], *, is_upper: bool) -> None:
        self._stack, self._number, self._mark, self._without = stack, number, mark, without
        self._is_upper = is_upper
        self._links: dict[int, Content] = {}  # of files with several names, by their inode
        self.changes: list[Change] = []

    def walk(self, here: Descent) -> None:
        """Walk through the tree of any depth, directories before the files in them."""
        root = self._stack.root
        way = [iter(self._enter(here.fd, _Folder("", "", root, _children(root))))]
        while way:
            folder = next(way[-1], None)
            if folder is None:
                way.pop()
                if way:
                    here.up()
            elif here.down(folder.name):
                way.append(iter(self._enter(here.fd, folder)))

    def _enter(self, fd: int, folder: _Folder) -> list[_Folder]:
        """Compare the files of the open directory *fd* with the former ones; return the directories in it."""
        path, node, former = folder.path, folder.node, folder.former
        if former is node.children and has_mark(fd, self._mark):
            node.children = {}
        is_hiding = former is not node.children
        found = []
        for name, info in infos(fd):
            place = f"{path}/{name}"
            if len(place) > LONGEST_PATH:
                cause = f"a path in it is longer than {LONGEST_PATH} bytes; it cannot be listed"
                raise ImageError(f"layer {self._number}", cause)
            if place in self._without:
                continue
            below = former.get(name)
            if is_whiteout(info):
                if below and not is_hiding:
                    self._hide(place, former.pop(name))
                continue
            former.pop(name, None)
            made = self._replace(place, info, below, fd, is_hiding=is_hiding)
            _children(node)[name] = made
            if made.children is not None:
                also = below.children if below and below.children is not None else made.children
                found.append(_Folder(name, place, made, also))
        if is_hiding:
            self._hide_rest(path or "/", node, former)
        return found

    def _replace(self, path: str, info: os.stat_result, below: Node | None, fd: int, *, is_hiding: bool) -> Node:
        """Note the change from the file *below*, if there is one, to the file with *info*; return its node."""
        facts = (info.st_mode, info.st_uid, info.st_gid, info.st_rdev, info.st_size, info.st_mtime_ns)
        if below is None:
            made = Node(self._number, facts, self._content(info))
            self.changes.append(Change(ADDED, path, info.st_mode, made.size))
            return made
        if below.children is not None and stat.S_ISDIR(info.st_mode):
            if below.facts[:3] != facts[:3]:
                self.changes.append(Change(CHANGED, path, info.st_mode, below=below.layer, how=METADATA))
            if is_hiding:
                return Node(self._number, facts, None)
            below.facts, below.layer = facts, self._number
            return below
        made = Node(self._number, facts, self._content(info))
        self._change(path, made, below, fd)
        return made

    def _change(self, path: str, made: Node, below: Node, fd: int) -> None:
        name = path.rpartition("/")[2]
        files, size = self._stack.cover(below, self._number)
        former, how = below.size or size, CONTENT
        now, then = made.facts, below.facts
        if stat.S_IFMT(now[0]) == stat.S_IFMT(then[0]) and now[3:5] == then[3:5]:  # type, device, size
            same = has_same_content(self._stack.trees[below.layer], path, fd, name, now[0])
            how = CONTENT if not same else NOTHING if now == then else METADATA
        copied = self._is_upper and has_origin(fd, name, self._mark)
        self.changes.append(
            Change(CHANGED, path, made.facts[0], made.size, former, below.layer, files - 1, how, copied)
        )

    def _hide(self, path: str, below: Node) -> None:
        files, size = self._stack.cover(below, self._number)
        self.changes.append(Change(HIDDEN, path, below.facts[0], 0, size, below.layer, files, WHITEOUT))

    def _hide_rest(self, path: str, node: Node, former: Children) -> None:
        """Note that an opaque directory hides what remains in *former*."""
        files = size = layer = 0
        for below in former.values():
            more, bytes_of_it = self._stack.cover(below, self._number)
            files, size, layer = files + more, size + bytes_of_it, max(layer, below.layer)
        former.clear()
        if files:
            self.changes.append(Change(HIDDEN, path, node.facts[0], 0, size, layer, files, OPAQUE))

    def _content(self, info: os.stat_result) -> Content | None:
        """Return the data of a file; all names of the same inode have the same."""
        if not stat.S_ISREG(info.st_mode):
            return None
        found = self._links.get(info.st_ino) if info.st_nlink > 1 else None
        if found is None:
            found = Content(self._number, info.st_size)
            self._stack.sizes[self._number] = self._stack.sizes.get(self._number, 0) + info.st_size
            if info.st_nlink > 1:
                self._links[info.st_ino] = found
        return found


def _children(node: Node) -> Children:
    return node.children if node.children is not None else {}
