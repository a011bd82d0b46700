"""Keys of a service that ask for what this machine or tinybox does not have: each is an error with its cause.

A service that comes up without what its file asks for is worse than one that does not come up.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

    Reader = Callable[[Service, Field, ServiceContext], None]

_REAL_TIME = "needs real-time group scheduling, which this kernel does not have"


def _refused(cause: str, cure: str) -> Reader:
    def read(_: Service, field: Field, __: ServiceContext) -> None:
        raise field.wrong(cause, cure)

    return read


def _windows(service: Service, field: Field, _: ServiceContext) -> None:
    service.notes.append(f"{field.name.rpartition('.')[2]} is for Windows, and ignored")


def _isolation(_: Service, field: Field, __: ServiceContext) -> None:
    if field.text() not in ("default", ""):
        raise field.wrong(f"invalid isolation {field.text()!r} on linux", "leave it out; hyperv is for Windows")


def _runtime(_: Service, field: Field, __: ServiceContext) -> None:
    if field.text() != "tinybox":
        raise field.wrong(f"unknown or invalid runtime name: {field.text()}", "leave it out: tinybox is the runtime")


def _api_socket(_: Service, field: Field, __: ServiceContext) -> None:
    if field.flag():
        raise field.wrong("gives the box the socket of a daemon, and there is none", "leave it out")


READERS: dict[str, Reader] = {
    "cpu_count": _windows,
    "cpu_percent": _windows,
    "cpu_rt_period": _refused(_REAL_TIME, "cpu_shares gives a weight"),
    "cpu_rt_runtime": _refused(_REAL_TIME, "cpu_shares gives a weight"),
    "credential_spec": _refused("is for service accounts of Windows", "leave it out"),
    "gpus": _refused("tinybox reserves no GPUs", "devices: [/dev/NAME] gives a device of the host"),
    "isolation": _isolation,
    "models": _refused("tinybox runs no language models", "environment: {URL: ADDRESS} names a server of one"),
    "provider": _refused("tinybox runs no programs of other providers", "image: or build:"),
    "runtime": _runtime,
    "storage_opt": _refused("the files of all boxes share the file system of the store", "tmpfs: limits a directory"),
    "use_api_socket": _api_socket,
}
