"""The demonstrations of `tinybox lab`, one file each; `tinybox lab list` prints the first line of each file."""
