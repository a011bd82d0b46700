"""The commands of `tinybox compose`: projects of several containers, which a compose file describes."""
