"""Devices that a person lets in, by the code that a device shows (RFC 8628) or by one that it scans.

A grant is a device that waits; a person approves it, and the device's next poll opens the session. Nothing here signs a
person in: who approves has done so before, in a browser.
"""
