"""The queue of outgoing e-mails.

Owns ``queued_mails``: written in the transaction of the act, sent after it, retried for a while.

Never decides on recipients or texts.
"""

from manifest_auth.mail_queue.mail_queue import MailQueue, Queued
from manifest_auth.mail_queue.rows import not_accepted
