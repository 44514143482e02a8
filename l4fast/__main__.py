"""``python -m l4fast``."""

import sys

from l4fast.cli import main

sys.exit(main())
