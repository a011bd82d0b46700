"""Several containers that belong together, written down in one file: compose, in the words of its specification."""
