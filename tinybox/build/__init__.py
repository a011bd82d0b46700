"""Build: a Containerfile becomes an image; parser, stages, cache and steps. RUN is a container of tinybox."""
