"""Parse --security-opt: docker's words for seccomp, no_new_privs, AppArmor, SELinux and the masked paths of /proc."""

from __future__ import annotations

from tinybox.errors import UnfitValueError, UsageError
from tinybox.text_values import truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_KEYS = ("seccomp", "apparmor", "label", "no-new-privileges", "systempaths")
_CURE = "no-new-privileges, seccomp=unconfined or =FILE, apparmor=NAME, label=disable or systempaths=unconfined"


class Security:
    """What --security-opt asks for.

    *seccomp* is ``unconfined``, ``builtin``, a file or ""; *apparmor* is the name of a profile or "". *open_paths*: no
    path in /proc and /sys is masked or read-only.
    """

    __slots__ = ("apparmor", "no_new_privileges", "open_paths", "seccomp")

    def __init__(self) -> None:
        self.seccomp = self.apparmor = ""
        self.no_new_privileges = self.open_paths = False


def parse(words: Sequence[str]) -> Security:
    """Return the meaning of all *words* of --security-opt, of which the last of a kind counts; UsageError: unknown.

    ``label=...`` is for SELinux, of which tinybox sets no labels: ``disable`` is what it does, and the others have no
    effect on a host without SELinux, as in docker.
    """
    found = Security()
    for text in words:
        _take(found, text)
    return found


def _take(found: Security, text: str) -> None:
    key, mark, value = text.partition("=" if "=" in text else ":")  # docker still reads the former colon
    if text == "no-new-privileges":
        mark, value = "=", "true"
    if not mark or key not in _KEYS:
        error = UnfitValueError if mark else UsageError
        raise error(f"--security-opt {text}", "is unknown", _CURE)
    if key == "seccomp":
        found.seccomp = value
    elif key == "apparmor":
        found.apparmor = "" if value == "unconfined" else _profile(value)
    elif key == "no-new-privileges":
        said = truth(value)
        if said is None:
            raise UnfitValueError(f"--security-opt {text}", f"{value!r} is neither true nor false", _CURE)
        found.no_new_privileges = said
    elif key == "systempaths":
        if value != "unconfined":
            raise UnfitValueError(f"--security-opt {text}", "is unknown", "systempaths=unconfined")
        found.open_paths = True
    elif value != "disable":
        _check_label(text, value)


def _profile(name: str) -> str:
    """Return *name* of an AppArmor profile, or "" on a host without AppArmor, where docker ignores it, too."""
    from tinybox.isolation import labels

    return name if labels.has_apparmor() else ""


def _check_label(text: str, value: str) -> None:
    from tinybox.isolation import labels

    if value.partition(":")[0] not in ("user", "role", "type", "level", "filetype", "nested"):
        raise UnfitValueError(
            f"--security-opt {text}", f"bad label option {value!r}", "label=disable or label=type:NAME"
        )
    if labels.has_selinux():
        raise UnfitValueError(f"--security-opt {text}", "tinybox sets no SELinux labels", "label=disable")
