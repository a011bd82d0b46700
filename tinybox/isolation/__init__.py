"""Kernel objects with a life, one file a mechanism: what a container is made of, before there is a container."""
