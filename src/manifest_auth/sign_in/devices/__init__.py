"""Devices that a user approves, with a code that a device shows (RFC 8628) or scans.

A grant is a waiting device. A user approves it, and the device's next poll opens the session. Nothing here signs in a
person: the approving user is already signed in, in a browser.
"""
