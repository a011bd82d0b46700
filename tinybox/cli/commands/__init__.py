"""The click commands of tinybox, one file for each group of commands."""
