"""Unit tests of ``manifest_auth.http``, since ``tests/http`` contains the tests over HTTP."""
