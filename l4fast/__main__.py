"""``python -m l4fast``, and the command ``l4fast``."""

import signal
import sys


def program() -> int:
    """Run one command as a program of its own."""
    # They wait until the command heeds them: see `l4fast.signals`.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    from l4fast.cli import main

    return main(is_program=True)


if __name__ == "__main__":
    sys.exit(program())
