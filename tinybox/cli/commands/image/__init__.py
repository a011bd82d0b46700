"""The commands about images: build, pull and push, save and load, their names, their layers."""
