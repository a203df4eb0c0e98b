"""E-mails over SMTP, where the operator set a server up. Hands over :class:`Mail` and the texts that it sends.

Never decides who gets an e-mail, or why. What could not be sent is told to the caller, not kept: ``mail_queue`` keeps
it.
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
    reset,
)
from manifest_auth.runtime.mail.mail import LEISURE_S, Mail, try_out
from manifest_auth.runtime.mail.server import NotSent, Server, server_of
