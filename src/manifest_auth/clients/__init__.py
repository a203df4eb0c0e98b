"""Use cases of a client: settings, branding, lifecycle and deletion, providers, domains, usage and notices.

Routes, pages, and commands call them, and so do the background jobs of ``maintenance``. The rules of claims are in
``tenants.claims``.
"""
