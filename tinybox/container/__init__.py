"""One container: its configuration (spec), the steps that make it (plan), and its life cycle (lifecycle)."""
