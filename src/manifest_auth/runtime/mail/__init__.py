"""E-mails over SMTP, if the operator configured a server: the texts, and the sending of them.

Never decides who gets an e-mail, or why. Tells the caller what could not be sent; ``mail_queue`` stores it.
"""

from manifest_auth.runtime.mail.emails import (
    Email,
    access_link,
    domain_contested,
    domain_contested_between,
    domain_failing,
    domain_lapsed,
    email_asked,
    email_changed,
    email_confirm,
    email_taken,
    email_undone,
    invitation,
    passkey_added,
    passkey_copied,
    passkey_removed,
    reset,
)
from manifest_auth.runtime.mail.mail import BACKGROUND_BUDGET_S, Mail, check_connection
from manifest_auth.runtime.mail.server import NotSent, Server, server_of
