"""The configuration file: defaults for options of `run` and `create` that the command line leaves out.

    /etc/tinybox/config.toml        for all users
    ~/.config/tinybox/config.toml   for this user; its keys have precedence. XDG_CONFIG_HOME replaces ~/.config

The format is TOML; most files are not there, and then its parser is not loaded. An option has precedence over both, and
so has TINYBOX_NETWORK over the key network. Registries and mirrors are in files that docker and podman share with
tinybox: images/registry/hosts.py.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Options

    Settings = dict[str, Any]

FOR_ALL = "/etc/tinybox/config.toml"
NETWORK, DRIVER, OPTS = "network", "log-driver", "log-opts"
TEXTS = (NETWORK, "init", DRIVER, "runtime", "detach-keys")  # each is the option of this name
REGISTRIES = ("registry", "registries", "mirrors", "registry-mirrors", "insecure-registries")
_MOST = 1 << 20  # bytes of a file


def files() -> dict[str, Settings]:
    """Return what each file that exists sets, by its path; UsageError: a file has a wrong key, or cannot be read."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    found = {path: _read(path) for path in (FOR_ALL, os.path.join(base, "tinybox/config.toml"))}
    return {path: kept for path, kept in found.items() if kept is not None}


def settings() -> Settings:
    """Return all keys of both files, those of the user's file in place of the others."""
    both: Settings = {}
    for kept in files().values():
        both |= kept
    return both


def applied(options: Options) -> Options:
    """Return *options* of `run` with the defaults of the configuration files for those that are missing."""
    kept = settings()
    if not kept:
        return options
    wanted = {key.replace("-", "_"): kept[key] for key in TEXTS if key in kept}
    if NETWORK in wanted:
        wanted[NETWORK] = [wanted[NETWORK]]
        if os.environ.get("TINYBOX_NETWORK"):
            del wanted[NETWORK]
    made = {**wanted, **options}
    driver = kept.get(DRIVER, "json-file")
    if OPTS in kept and made.get("log_driver", driver) == driver:  # as docker: they belong to the default driver
        named = {text.partition("=")[0] for text in options.get("log_opt") or ()}
        more = [f"{key}={value}" for key, value in kept[OPTS].items() if key not in named]
        made["log_opt"] = [*more, *(options.get("log_opt") or ())]
    return made


def detach_keys() -> str:
    """Return the default of --detach-keys; "" is tinybox's own."""
    keys: str = settings().get("detach-keys", "")
    return keys


def _read(path: str) -> Settings | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(path, f"cannot be read: {error.strerror}", "make it readable for you") from error
    import tomllib

    with open(fd, "rb") as file:
        try:
            kept = tomllib.loads(file.read(_MOST).decode())
        except (OSError, ValueError) as error:  # a directory; no UTF-8; no TOML
            raise UsageError(path, f"is no TOML file: {error}", f"see toml.io; {_KEYS}") from error
    for key, value in kept.items():
        if wrong := _misfit(key, value):
            raise UsageError(f"{path}: {key}", *wrong)
    if OPTS in kept:
        kept[OPTS] = {key: str(value) for key, value in kept[OPTS].items()}
    return kept


def _misfit(key: str, value: object) -> tuple[str, str] | None:
    """Return what is wrong with the *value* of *key*, and the cure; None if nothing is."""
    if key in REGISTRIES:
        return "is not a key of this file", "/etc/docker/daemon.json or /etc/containers/registries.conf"
    if key == OPTS:
        fits = isinstance(value, dict) and all(isinstance(each, str | int) for each in value.values())
        return None if fits else ("is no table of texts", '{ max-size = "10m" }')
    if key not in TEXTS:
        return "is unknown", _KEYS
    return None if isinstance(value, str) else ("is no text", f'{key} = "..."')


_KEYS = f"keys: {', '.join((*TEXTS, OPTS))}"
