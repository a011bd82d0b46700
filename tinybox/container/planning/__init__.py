"""config.json becomes a Plan, and no object of the kernel is touched."""
