"""``kill -9`` of PostgreSQL during writes: all that was answered is there, and the server recovers by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.processes import chain
from tests.processes.storm import honoured, storm
from tests.processes.wire import AUTHOR, NODE, Node, seconds_until
from tests.support.postgres import Postgres
from tests.support.server import start, stop


async def test_postgresql_is_killed_in_the_middle_of_writes(own_postgres: Postgres, tmp_path: Path) -> None:
    given = {**NODE, "MANIFEST_REFRESH_GRACE": "0"}
    url = own_postgres.fresh_database()
    node = Node(start(tmp_path, url, **given))
    pid = node.server.process.pid
    try:
        for _ in range(2):
            told = storm(node)
            running = asyncio.create_task(told.run())
            await asyncio.wait_for(told.half.wait(), 60)
            own_postgres.kill()
            await running
            assert told.statuses <= {200, 503}, "nothing but success and `come back later`"
            assert 503 in told.statuses
            own_postgres.start_again()
            seconds_until(lambda: node.http.get("/readyz").status_code == 200)
            # A commit whose answer was lost may stand: those clients were told 503 and are in doubt.
            for client in told.clients:
                client.in_doubt = client.in_doubt or not client.signed_out
            honoured(told, node)
            await chain.is_whole_and_holds(told, url)
            assert node.me(str(node.sign_in(AUTHOR)["token"])).status_code == 200
        assert node.server.process.poll() is None
        assert node.server.process.pid == pid
    finally:
        stop(node.server)
