"""How much slower this machine is than a usual one: every time limit of a test is multiplied by that factor.

These limits are upper bounds and never what a test is about: a quiet machine stays far below. tests/vm sets the factor,
TINYBOX_PATIENCE, in its emulated machine.
"""

import os

SLOWNESS = float(os.environ.get("TINYBOX_PATIENCE", "1"))
