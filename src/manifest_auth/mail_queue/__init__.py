"""E-mails that wait to be sent. Owns ``queued_mails``. Never decides who is written to."""

from manifest_auth.mail_queue.mail_queue import MailQueue, Queued

__all__ = ["MailQueue", "Queued"]
