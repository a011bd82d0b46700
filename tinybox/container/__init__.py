"""One container: what is wanted (spec), what will be done (plan), and the doing of it (lifecycle)."""
