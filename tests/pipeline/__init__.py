"""Tests of ``manifest_auth.http`` from inside: ``tests/http`` is the name of those that speak HTTP."""
