"""E-mails over SMTP, if the operator configured a server: their texts in six languages, and the sending of them.

A new e-mail is a function in :mod:`manifest_auth.runtime.mail.emails` that calls ``write`` with sentences, and a line
here. ``./dev messages`` puts the sentences into the catalogues of :mod:`manifest_auth.text.languages`.

Never decides who gets an e-mail, or why. Tells the caller what could not be sent; ``mail_queue`` stores it.
"""

from manifest_auth.runtime.mail.emails import (
    access_link,
    app_added,
    app_removed,
    badge_issued,
    changed_provider_used,
    device_paired,
    domain_contested,
    domain_contested_between,
    domain_failing,
    domain_held,
    domain_lapsed,
    email_asked,
    email_changed,
    email_confirm,
    email_taken,
    email_undone,
    factors_reset,
    identity_linked,
    invitation,
    machine_secret_ends,
    passkey_added,
    passkey_copied,
    passkey_removed,
    pin_reset,
    pin_set,
    recovery_code_used,
    recovery_codes_made,
    reset,
    wrong_codes,
)
from manifest_auth.runtime.mail.mail import BACKGROUND_BUDGET_S, Mail, NotSent, Server, check_connection, server_of
from manifest_auth.runtime.mail.writing import Email, Link, Reader, RemovedData, after_undoing
