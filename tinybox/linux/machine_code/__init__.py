"""Machine code: small programs of tinybox's own in memory that no process can change, for what Python cannot do."""
