"""Background checks of claims on domains: DNS records are looked up again, and Admins get e-mails about failures.

Owns the schedule of checks. Rules of claims are in ``tenants.claims``.
"""
