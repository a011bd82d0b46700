"""Read-only views of containers and networks: ps, inspect, logs, stats, events."""
