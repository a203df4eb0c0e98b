"""Background work on claims of domains: DNS records are looked at again, and those concerned are written to.

Owns the times at which a claim is checked. Never decides what a claim is worth: ``tenants.claims`` does.
"""
