"""Runs docs programs, ``example.py FILE…``, with the stand-in or with the server that ``SDK_SERVER`` describes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.sdk_python.suite.servers import PASSWORD, Standing, real


def main() -> None:
    """Print the output of each example, followed by a line ``---``."""
    os.environ["PASSWORD"] = PASSWORD
    if (server := real()) is None:
        server = Standing().server
        assert server.fake is not None
        service = server.fake.add_service("robot", scopes=["users:read"], may_introspect=True)
        os.environ |= {"API_KEY": service.key, "CLIENT_ID": service.client_id, "CLIENT_SECRET": service.secret}
    for name in sys.argv[1:]:
        text = Path(name).read_text("utf-8").replace("https://auth.example.com", server.base_url)
        exec(compile(text, name, "exec"), {"__name__": "__main__"})
        print("---")


if __name__ == "__main__":
    main()
