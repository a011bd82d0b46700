"""Registries: pull images from a registry and push them to one, by the OCI distribution-spec; no processes."""
