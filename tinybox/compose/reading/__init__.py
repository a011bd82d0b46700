"""Compose files are read here: YAML, variables, merging, and the keys of services; nothing is made."""
