"""E-mails that wait to be sent. Owns ``queued_mails``: written with the act, sent after it, tried again for a while.

Never decides who is written to, nor what.
"""

from manifest_auth.mail_queue.mail_queue import MailQueue, Queued
