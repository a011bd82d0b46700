"""The process that owns a background container: its log, its health checks, its attached clients."""
