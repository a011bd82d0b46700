"""Addresses, bridges, links, names and published ports of containers."""
