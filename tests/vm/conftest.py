"""A machine leaves the host as it found it: the fixture of the kernel tests sees to that here, too."""

from tests.no_trace import leaves_no_trace

__all__ = ["leaves_no_trace"]
