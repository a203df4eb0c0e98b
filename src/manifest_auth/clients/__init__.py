"""Use cases of a client: settings, branding, lifecycle and deletion, providers, domains, usage and notices.

Called by routes, pages and commands, and by the background jobs of ``maintenance``. Rules of claims are in
``tenants.claims``.
"""
