"""``python -m manifest_auth``: the command ``manifest-auth``."""

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs one command. Does not return."""
    if os.getpid() == 1:
        # The kernel ignores signals for which the first process of a container has no handler, and loading the program
        # takes a second: without this handler a stop signal during that time, or in a command other than ``serve``,
        # would have no effect.
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to shut down yet
    from manifest_auth.cli import main as command

    command()


if __name__ == "__main__":
    main()
