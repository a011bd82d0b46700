"""The canonical form of a compose file, as `docker compose config` prints it: short forms become long ones.

A program that reads this form has one way of each key: commands and hosts are lists, variables and labels mappings,
ports, volumes and dependencies have their long forms, and paths are absolute.
"""

from __future__ import annotations

import os
import shlex

from tinybox.compose.reading import dotenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Tree = dict[str, Any]

LISTS = ("dns", "dns_opt", "dns_search", "tmpfs", "env_file", "label_file")  # a text, or a list
PAIRS = ("annotations", "labels", "sysctls")  # a list of NAME=VALUE, or a mapping
STARTED = {"condition": "service_started", "required": True}


class Canonical:
    """Makes the canonical form of a project *name* in *folder*; *variables* are those of names without a value.

    Without *paths*, paths stay relative; without *defaults*, nothing that is not in the file is added; without
    *env_files*, their variables are not looked up.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        variables: Mapping[str, str],
        *,
        paths: bool = True,
        defaults: bool = True,
        env_files: bool = True,
    ) -> None:
        self._name, self._folder, self._variables = name, folder, variables
        self._paths, self._defaults, self._env_files = paths, defaults, env_files

    def file(self, tree: Tree) -> Tree:
        """Return the canonical form of a whole file, *tree*."""
        made: Tree = {"name": self._name}
        services = tree.get("services") or {}
        made["services"] = {name: self.service(entries or {}) for name, entries in services.items()}
        joined = {name for each in made["services"].values() for name in each.get("networks") or {}}
        networks = dict(tree.get("networks") or {})
        if self._defaults and "default" in joined:
            networks.setdefault("default", None)
        for kind, entries in {**tree, "networks": networks}.items():
            if kind in ("networks", "volumes", "secrets", "configs"):
                if entries:
                    made[kind] = {key: self._declared(key, entry or {}) for key, entry in entries.items()}
            elif kind not in ("name", "services", "version", "include"):
                made[kind] = entries
        return made

    def _declared(self, key: str, entry: Tree) -> Tree:
        made = dict(entry)
        if self._defaults:
            made = {"name": key if entry.get("external") else f"{self._name}_{key}", **made}
        if "file" in made:
            made["file"] = self._path(made["file"])
        if "labels" in made:
            made["labels"] = self._mapping(made["labels"])
        return made

    def service(self, entries: Tree) -> Tree:
        """Return the canonical form of the *entries* of one service."""
        made = dict(entries)
        for key, value in entries.items():
            if key in self._WAYS:
                made[key] = self._WAYS[key](self, value)
            elif key in LISTS and isinstance(value, str):
                made[key] = [value]
            elif key in PAIRS:
                made[key] = self._mapping(value)
        if self._env_files and "env_file" in made:
            made["environment"] = self._of_files(made.pop("env_file")) | (made.get("environment") or {})
        if self._defaults:
            made = {"command": None, "entrypoint": None, **made}
            if "networks" not in made and "network_mode" not in made:
                made["networks"] = {"default": None}
        return dict(sorted(made.items()))

    def _path(self, path: Any) -> Any:
        if not self._paths or not isinstance(path, str):
            return path
        return os.path.normpath(os.path.join(self._folder, os.path.expanduser(path)))

    def _words(self, value: Any) -> Any:
        """Return a command as a list; an open quote stays, for the reader of the file to complain about."""
        try:
            return shlex.split(value) if isinstance(value, str) else value
        except ValueError:
            return value

    def _mapping(self, value: Any) -> Tree:
        """Return a list of ``NAME=VALUE`` or a mapping as a mapping of texts; no value is None."""
        pairs = value.items() if isinstance(value, dict) else _pairs(value)
        return {key: each if each is None else _text(each) for key, each in pairs}

    def _environment(self, value: Any) -> Tree:
        """Return variables; a name without a value has that of the project's variable, and else None."""
        found = self._mapping(value)
        return {key: self._variables.get(key) if each is None else each for key, each in found.items()}

    def _of_files(self, files: Any) -> Tree:
        found: Tree = {}
        for entry in files:
            path = entry["path"] if isinstance(entry, dict) else entry
            whole = os.path.join(self._folder, os.path.expanduser(path))
            if isinstance(entry, dict) and entry.get("required") is False and not os.path.exists(whole):
                continue
            is_raw = isinstance(entry, dict) and entry.get("format") == "raw"
            pairs = dotenv.read_raw(whole) if is_raw else dotenv.read(whole, self._variables)
            found |= self._environment(pairs)
        return found

    def _build(self, value: Any) -> Tree:
        made = {"context": value} if isinstance(value, str) else dict(value or {})
        context = made.get("context", ".")
        made["context"] = context if "://" in context or context.startswith("git@") else self._path(context)
        if self._defaults and "dockerfile_inline" not in made:
            made.setdefault("dockerfile", "Dockerfile")
        for key in ("args", "labels"):
            if key in made:
                made[key] = self._environment(made[key]) if key == "args" else self._mapping(made[key])
        return made

    def _depends_on(self, value: Any) -> Tree:
        if isinstance(value, list):
            return {name: dict(STARTED) for name in value}
        return {name: {**STARTED, **(entry or {})} for name, entry in (value or {}).items()}

    def _networks(self, value: Any) -> Tree:
        return dict.fromkeys(value) if isinstance(value, list) else dict(value or {})

    def _ports(self, value: Any) -> list[Tree]:
        return [each for entry in value or [] for each in ([_long_port(entry)] if isinstance(entry, dict) else
                                                          _ports_of(str(entry)))]  # fmt: skip

    def _volumes(self, value: Any) -> list[Tree]:
        return [self._volume(entry) for entry in value or []]

    def _volume(self, entry: Any) -> Tree:
        if isinstance(entry, dict):
            made = dict(entry)
            return {**made, "source": self._path(made["source"])} if made.get("type") == "bind" else made
        source, colon, rest = str(entry).partition(":")
        target, _, mode = rest.partition(":")
        if not colon:
            return {"type": "volume", "target": source, "volume": {}}
        words = {"read_only": True} if "ro" in mode.split(",") else {}
        if source.startswith((".", "/", "~")):
            bound = {"create_host_path": True} | _bind_words(mode)
            return {"type": "bind", "source": self._path(source), "target": target, **words, "bind": bound}
        return {"type": "volume", "source": source, "target": target, **words, "volume": {}}

    def _extra_hosts(self, value: Any) -> list[str]:
        if isinstance(value, list):
            return [each.replace(":", "=", 1) if "=" not in each else each for each in value]
        return [f"{name}={address}" for name, address in (value or {}).items()]

    def _healthcheck(self, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("test"), str):
            return {**value, "test": ["CMD-SHELL", value["test"]]}
        return value

    def _granted(self, value: Any) -> list[Any]:
        return [{"source": entry} if isinstance(entry, str) else entry for entry in value or []]

    def _expose(self, value: Any) -> list[str]:
        return [str(entry) for entry in value or []]

    _WAYS: dict[str, Callable[[Canonical, Any], Any]] = {  # noqa: RUF012  never changed
        "build": _build,
        "command": _words,
        "configs": _granted,
        "depends_on": _depends_on,
        "entrypoint": _words,
        "environment": _environment,
        "expose": _expose,
        "extra_hosts": _extra_hosts,
        "healthcheck": _healthcheck,
        "networks": _networks,
        "ports": _ports,
        "secrets": _granted,
        "volumes": _volumes,
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(value: Any) -> list[tuple[str, str | None]]:
    split = [str(entry).partition("=") for entry in value or []]
    return [(key, each if equals else None) for key, equals, each in split]


def _bind_words(mode: str) -> Tree:
    """Return what the words after the second colon of a volume say about SELinux and propagation."""
    found: Tree = {}
    for word in mode.split(","):
        if word in ("z", "Z"):
            found["selinux"] = word
        elif word.endswith(("private", "shared", "slave")):
            found["propagation"] = word
    return found


def _long_port(entry: Tree) -> Tree:
    made = {"mode": "ingress", **{key: value for key, value in entry.items() if key not in ("published", "protocol")}}
    published = {"published": str(entry["published"])} if "published" in entry else {}
    return {**made, **published, "protocol": entry.get("protocol", "tcp")}


def _ports_of(text: str) -> list[Tree]:
    """Return the long forms of ``[IP:][HOST:]PORT[/PROTOCOL]``, whose ports may be ranges of the same length."""
    text, _, protocol = text.partition("/")
    before, _, inside = text.rpartition(":")
    address, _, outside = before.rpartition(":")
    targets, published = _range(inside), _range(outside)
    host = {"host_ip": address.strip("[]")} if address else {}
    if not targets or (outside and not published):
        return [{"mode": "ingress", **host, "target": inside, "published": outside, "protocol": protocol or "tcp"}]
    found = []
    for at, target in enumerate(targets):
        own = str(published[at]) if len(published) == len(targets) else outside
        shown = {"published": own} if outside else {}
        found.append({"mode": "ingress", **host, "target": target, **shown, "protocol": protocol or "tcp"})
    return found


def _range(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return []
    return list(range(int(first), int(last or first) + 1))[:65536]
