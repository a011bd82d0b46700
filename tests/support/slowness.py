"""How much slower this machine is than a usual one: what a test waits for before it gives up is multiplied by that.

Such a time is a bound and never a claim: on a quiet machine nothing comes near it. tests/vm sets TINYBOX_PATIENCE in
its emulated machine.
"""

import os

SLOWNESS = float(os.environ.get("TINYBOX_PATIENCE", "1"))
