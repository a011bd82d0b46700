"""`tinybox compose`: read compose files, by the compose specification, and bring their containers up and down."""
