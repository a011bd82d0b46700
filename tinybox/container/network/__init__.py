"""Networks of containers: addresses, bridges, links, host names and published ports."""

# The predefined networks. Their names are here because every `run` reads them, and most need nothing else of networks.
BRIDGE, HOST, NONE = "bridge", "host", "none"
DEFAULT = "default"  # docker's other name for ``bridge``
PREFIX = "com.docker.network.container_iface_prefix"  # an option of a network: what boxes call its interface, for eth
