"""Checkpoints: the program criu writes a running container's processes to files, and makes them again from these."""
