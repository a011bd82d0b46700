"""Links, the kernel's answers about them, the firewall and the connection table."""
