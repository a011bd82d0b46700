"""The version of tinybox, which the commands print."""

__version__ = "0.1.0"
