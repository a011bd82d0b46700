"""Settings of Sphinx for the site; see "Configuration" in the manual of Sphinx, and of MyST for Markdown.

The theme has no font, script or picture of another host. Pages, and the search, work from a directory as well.
"""

from tinybox.version import __version__

project = "tinybox"
release = __version__
extensions = ["myst_parser"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin with a table, or leave out a level
nitpicky = True
smartquotes = False  # it would write the two hyphens of an option as a dash
html_theme = "furo"
html_title = "tinybox"
html_copy_source = False
html_show_search_summary = False  # a summary is fetched, which a browser does not do from a directory
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#17569b", "color-brand-content": "#17569b"},
    "dark_css_variables": {"color-brand-primary": "#8ab8f0", "color-brand-content": "#8ab8f0"},
}
