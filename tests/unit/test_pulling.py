"""When an image is got before a container is made of it: --pull, by its three words."""

from __future__ import annotations

import pytest

from tinybox.cli import pulling
from tinybox.cli.commands import images
from tinybox.errors import ImageError, UsageError
from tinybox.images.store import NO_SUCH


class Shop:
    """A store with or without one image, and what was done to have it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, has: bool, recipe: bool = True) -> None:
        self.has, self.recipe, self.done = has, recipe, list[str]()
        monkeypatch.setattr(images, "make_missing", lambda _: self._make("missing"))
        monkeypatch.setattr(images, "make_anew", lambda _: self._make("anew"))

    def _make(self, how: str) -> bool:
        self.done.append(how)
        self.has = self.has or self.recipe
        return self.recipe

    def use(self) -> str:
        """Use the image; ImageError if it is not there."""
        if not self.has:
            raise ImageError("image 'box'", f"{NO_SUCH} in /nowhere")
        return "used"


@pytest.mark.parametrize(
    ("policy", "has", "done"),
    [("missing", True, []), ("missing", False, ["missing"]), ("always", True, ["anew"]), ("always", False, ["anew"]),
     ("never", True, [])],
)  # fmt: skip
def test_the_image_is_got_when_the_policy_says_so(
    monkeypatch: pytest.MonkeyPatch, policy: str, has: bool, done: list[str]
) -> None:
    """Missing gets what is not there, always gets all, never nothing."""
    shop = Shop(monkeypatch, has=has)
    assert pulling.with_image("box", shop.use, policy) == "used"
    assert shop.done == done


def test_never_says_in_docker_s_words_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried, though there is a recipe; without one `missing` ends with the store's own words."""
    shop = Shop(monkeypatch, has=False)
    with pytest.raises(ImageError, match=r"^No such image: box:latest"):
        pulling.with_image("box", shop.use, "never")
    assert shop.done == []
    with pytest.raises(ImageError, match="there is no such image in /nowhere"):
        pulling.with_image("box", Shop(monkeypatch, has=False, recipe=False).use)


def test_a_damaged_image_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is wrong with an image is said as it is."""

    def use() -> str:
        raise ImageError("image 'box'", "a layer of it is gone")

    with pytest.raises(ImageError, match="a layer of it is gone"):
        pulling.with_image("box", use, "never")


def test_what_has_no_recipe_cannot_be_had_anew() -> None:
    """As docker, which does not run what it could not pull; the error names what can be made."""
    with pytest.raises(ImageError, match=r"^image nosuch: it cannot be pulled: there is no recipe for it.*busybox"):
        images.make_anew("nosuch")


def test_another_word_is_refused() -> None:
    """In docker's words; the control: the three are taken."""
    with pytest.raises(
        UsageError, match=r'^invalid pull option: \'no\': must be one of "always", "missing" or "never"'
    ):
        pulling.checked("no")
    assert [pulling.checked(word) for word in ("missing", "always", "never")] == ["missing", "always", "never"]
