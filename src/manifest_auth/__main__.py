"""``python -m manifest_auth`` is the command ``manifest-auth``."""

from manifest_auth.cli import main

if __name__ == "__main__":
    main()
