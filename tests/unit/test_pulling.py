"""The policies of --pull: when the image of a container is made, and which error is raised if it cannot be made."""

from __future__ import annotations

import pytest

from tinybox.cli import pulling
from tinybox.cli.commands.image import registry
from tinybox.errors import ImageError, NoSuchImageError, UsageError
from tinybox.images.store import NO_SUCH


class Shop:
    """A store with or without one image; *done* lists the calls that made it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, has: bool, recipe: bool = True) -> None:
        self.has, self.recipe, self.done = has, recipe, list[str]()
        monkeypatch.setattr(registry.Reporting, "make_missing", lambda *_, **__: self._make("missing"))
        monkeypatch.setattr(registry.Reporting, "make_again", lambda *_, **__: self._make("again"))

    def _make(self, how: str) -> bool:
        self.done.append(how)
        self.has = self.has or self.recipe
        return self.recipe

    def use(self) -> str:
        """Use the image; ImageError if the store does not have it."""
        if not self.has:
            raise NoSuchImageError("image 'box'", f"{NO_SUCH} in /nowhere")
        return "used"


@pytest.mark.parametrize(
    ("policy", "has", "done"),
    [("missing", True, []), ("missing", False, ["missing"]), ("always", True, ["again"]), ("always", False, ["again"]),
     ("never", True, [])],
)  # fmt: skip
def test_the_image_is_made_when_the_policy_says_so(
    monkeypatch: pytest.MonkeyPatch, policy: str, has: bool, done: list[str]
) -> None:
    """`missing` makes only an image that the store does not have, `always` makes every image, `never` makes none."""
    shop = Shop(monkeypatch, has=has)
    assert pulling.with_image("box", shop.use, policy) == "used"
    assert shop.done == done


def test_never_reports_a_missing_image_in_docker_s_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made although there is a recipe. Control: `missing` without a recipe ends with the store's error."""
    shop = Shop(monkeypatch, has=False)
    with pytest.raises(ImageError, match=r"^No such image: box:latest"):
        pulling.with_image("box", shop.use, "never")
    assert shop.done == []
    with pytest.raises(ImageError, match="there is no such image in /nowhere"):
        pulling.with_image("box", Shop(monkeypatch, has=False, recipe=False).use)


def test_a_damaged_image_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another error of an image is passed on unchanged."""

    def use() -> str:
        raise ImageError("image 'box'", "a layer of it is gone")

    with pytest.raises(ImageError, match="a layer of it is gone"):
        pulling.with_image("box", use, "never")


def test_an_unknown_policy_is_refused() -> None:
    """In docker's words. Control: the three policies are accepted."""
    with pytest.raises(
        UsageError, match=r'^invalid pull option: \'no\': must be one of "always", "missing" or "never"'
    ):
        pulling.checked("no")
    assert [pulling.checked(word) for word in ("missing", "always", "never")] == ["missing", "always", "never"]
