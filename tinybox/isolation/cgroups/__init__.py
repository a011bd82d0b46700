"""Control groups of versions 1 and 2: limits, counters, freezing and killing, and the devices of a container."""
