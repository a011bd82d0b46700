"""Docker's options are converted to a config.json; the config.json of another tool is validated."""
