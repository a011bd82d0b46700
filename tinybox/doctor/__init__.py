"""`tinybox doctor`: the checks whether this host can run containers; each reads or tries a fact of the kernel."""
