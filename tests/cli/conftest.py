"""Every test below this directory leaves the host as it found it: two fixtures see to that."""

from tests.support.no_trace import leaves_no_rules, leaves_no_trace

__all__ = ["leaves_no_rules", "leaves_no_trace"]
