"""Emails over SMTP, if the operator configured a server: texts in six languages, their HTML, and sending.

A new email is a function in :mod:`manifest_auth.runtime.mail.emails` that calls ``write`` with sentences. ``./dev
messages`` adds the sentences to the catalogs of :mod:`manifest_auth.text.languages`.

Never decides who gets an email, or why. Tells the caller what could not be sent; ``mail_queue`` stores it.
"""

from manifest_auth.runtime.mail.looks import PRODUCT, Look
from manifest_auth.runtime.mail.mail import BACKGROUND_BUDGET_S, Mail, check_connection
from manifest_auth.runtime.mail.server import NotSent, Server, server_of
from manifest_auth.runtime.mail.writing import Email, Link, Reader, RemovedData, after_undoing
