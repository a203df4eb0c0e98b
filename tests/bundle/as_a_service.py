"""The service under systemd on a bare machine: notifications, and restarts after failures."""

from __future__ import annotations

from collections.abc import Callable

from tests.bundle.bare_machine import Machine
from tests.faults.link import Link
from tests.support.secret_keys import SECRET_KEY

#: Characters that a shell would interpret, and partly execute.
NASTY = "a$HOME&b;c<d>`touch /root/ran`$(touch /root/ran)|e\"f'g#h"
_SHELL = r"""
unit=manifest-auth settings=/etc/manifest-auth/environment dropin=/run/systemd/system/manifest-auth.service.d
is() { systemctl show -P "$1" $unit; }
answers() { python3 - <<'END'
from urllib.request import Request, urlopen
urlopen(Request("http://127.0.0.1:8080/metrics", headers={"Authorization": r'''Bearer NASTY'''}))
assert urlopen("http://127.0.0.1:8080/readyz").status == 200
END
}
""".replace("NASTY", NASTY)
_SETTINGS = rf"""
cat >> $settings <<'END'
MANIFEST_METRICS_TOKEN={NASTY}
END
manifest-auth doctor | grep 'settings: the running server has different values for MANIFEST_METRICS_TOKEN;'
systemctl restart $unit
answers
manifest-auth doctor | grep 'settings: same as those of the running server'
test ! -e /root/ran
"""
_HANG_UP = """
pid=$(is MainPID)
systemctl kill --signal=HUP $unit
answers
test "$(is MainPID) $(is NRestarts)" = "$pid 0"
"""
_WRONG = """
cp -p $settings saved
echo MANIFEST_WORKERS=none >> $settings
if systemctl restart $unit; then exit 1; fi
test "$(is ActiveState) $(is ExecMainStatus) $(is NRestarts)" = "failed 2 0"
journalctl -u $unit | grep 'manifest-auth: MANIFEST_WORKERS: '
mv saved $settings
"""
#: Replaces the program by one that fails faster.
_FAILS_FOR_LONG = r"""
mkdir -p $dropin
printf '%s\n' '[Service]' Type=exec ExecStart= ExecStart=/bin/false RestartSec=1ms > $dropin/fails.conf
systemctl daemon-reload
systemctl start $unit
until [ "$(is ActiveState)" = failed ] || [ "$(is NRestarts)" -gt 30 ]; do sleep 0.1; done
test "$(is ActiveState)" != failed
systemctl stop $unit
rm $dropin/fails.conf
systemctl daemon-reload
"""
#: The same for the socket, with a waiting connection.
_WAITED_FOR = r"""
printf '%s\n' '[Service]' Type=exec ExecStart= 'ExecStart=/bin/sh -c "exit 2"' > $dropin/fails.conf
systemctl daemon-reload
systemctl start manifest-auth.socket
exec 7<>/dev/tcp/127.0.0.1/8080
until [ "$(systemctl is-active manifest-auth.socket)" = failed ]; do sleep 0.1; done
exec 7>&-
rm $dropin/fails.conf
systemctl daemon-reload
systemctl reset-failed
"""
_HANGS = """
mkdir -p $dropin
printf '%s\\n' '[Service]' WatchdogSec=5 > $dropin/watchdog.conf
systemctl daemon-reload
systemctl restart $unit
kill -STOP "$(is MainPID)"
until [ "$(is NRestarts)" -ge 1 ] && systemctl is-active $unit; do sleep 0.2; done
"""
_ON_POSTGRESQL = """
printf '%s\\n' 'MANIFEST_DATABASE_URL={url}' MANIFEST_SECRET_KEY={key} MANIFEST_WORKERS=2 >> $settings
systemctl restart $unit
answers
manifest-auth db status
"""
_TRIES = """
until [ "$(is NRestarts)" -ge 2 ]; do sleep 0.2; done
test "$(is ActiveState)" = activating
"""
_COMES_BACK = """
until systemctl is-active $unit; do sleep 0.2; done
answers
"""


def prove(machine: Machine, database: str | None) -> None:
    """Test the service on SQLite. ``database`` is the address of an empty database, or None to leave out slow parts
    that another machine has verified."""

    def run(block: str) -> None:
        machine.run(_SHELL + block)

    for block in (_SETTINGS, _HANG_UP, _WRONG, _FAILS_FOR_LONG, _WAITED_FOR):
        run(block)
    if database is not None:
        run(_HANGS)
        _late_database(machine, run, database)


def _late_database(machine: Machine, run: Callable[[str], None], database: str) -> None:
    """The power fails, and PostgreSQL is available again only after the node."""
    with Link(database) as link:
        run(_ON_POSTGRESQL.format(url=link.url(), key=SECRET_KEY))
    machine.power_cut()
    machine.start()
    run(_TRIES)
    with Link(database, port=link.port):
        run(_COMES_BACK)
