"""E-mails that wait to be sent. Owns ``queued_mails``.

An e-mail is written, sealed, in the transaction of the act that it tells of, sent after the commit, and dropped when
the mail server took it. One that was not taken is tried again for an hour, by whichever process is there. Never: what
an e-mail says, or who gets one.
"""

from manifest_auth.mail_queue.queue import LEASE_MS, LIFE_MS, Queued, add
from manifest_auth.mail_queue.sending import EVERY_S, run, send_now, send_soon, sweep

__all__ = ["EVERY_S", "LEASE_MS", "LIFE_MS", "Queued", "add", "run", "send_now", "send_soon", "sweep"]
