"""Images that tinybox makes by the recipes in rootfs/: from packages of Debian and PyPI, without a registry."""
