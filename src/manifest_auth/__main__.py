"""``python -m manifest_auth`` is the command ``manifest-auth``."""

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs one command (contract, section 11)."""
    if os.getpid() == 1:
        # The kernel drops what the first process of a container has no handler for, and reading the program takes a
        # second: told to stop then, or in any command but ``serve``, it would go on until it is killed.
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    from manifest_auth.cli import main as command

    command()


if __name__ == "__main__":
    main()
