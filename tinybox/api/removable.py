"""What all objects of the Python API have in common: a ``with`` block removes a thing that the object has made."""

from __future__ import annotations

from tinybox.errors import NoSuchError, NoSuchImageError, TinyboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Removable:
    """A thing in a store. If this object has *made* it, it is removed at the end of its ``with`` block.

    That happens also if the block raises an error. A thing that the block has removed already is no failure. If it
    cannot be removed, that error is raised; while another error is on its way, it is a note on that one.
    """

    def __init__(self, *, made: bool) -> None:
        self._made = made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not self._made:
            return
        try:
            self._discard()
        except (NoSuchError, NoSuchImageError):
            return
        except (TinyboxError, OSError) as failure:
            if error is None:
                raise
            error.add_note(f"tinybox: {type(self).__name__.lower()} {self} was not removed: {failure}")

    def _discard(self) -> None:
        """Remove it, whatever its state is."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"
