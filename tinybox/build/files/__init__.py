"""COPY and ADD: the build context, which files are meant, and how they come into the image."""
