"""Tar archives: unpack an untrusted one into a directory, and pack a directory; also with the marks of a layer."""
