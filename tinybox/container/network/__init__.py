"""Addresses, bridges, links, names and published ports of containers."""

# The networks that nobody has to make. They stand here because every `run` reads these names, and most need no more.
BRIDGE, HOST, NONE = "bridge", "host", "none"
DEFAULT = "default"  # docker's other word for the bridge
