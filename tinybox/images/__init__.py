"""Images: their names, the store on disk, and pull, import, load, save and build from a recipe; no processes."""
