"""Devices that users approve, over HTTP."""
