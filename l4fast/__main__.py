"""``python -m l4fast``."""

import sys

from l4fast.cli import program

sys.exit(program())
