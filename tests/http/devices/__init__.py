"""Devices that people let in, over HTTP."""
