"""The labs, one file each; `tinybox lab list` reads their first lines."""
