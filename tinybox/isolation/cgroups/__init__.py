"""Control groups of both versions: limits, counters, and the devices that a container may use."""
