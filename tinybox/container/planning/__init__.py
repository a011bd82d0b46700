"""Planning: config.json becomes a Plan, without any change in the kernel or on disk."""
