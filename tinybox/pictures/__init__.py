"""Drawings of measured figures as SVG: curves, bars, the pages of a memory, moves between states, layers of files.

A lab gives its figures as data (series.py), never as pixels; drawing.py makes the SVG text. Every function here is
pure: it reads and writes no file, so the same figures make the same picture. A picture needs no script and no
network; its colours are the variables of the page that contains it, so it is readable in light and dark; form and
words say the same as the colours do, and its title and description are read aloud by a screen reader.
"""
