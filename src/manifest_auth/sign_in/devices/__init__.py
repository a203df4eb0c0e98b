"""Devices that a user approves, with a code that a device shows (RFC 8628) or scans.

A grant is a waiting device. Once a user approves it, the device's next poll opens the session. Nothing here signs in a
person, because the approving user is already signed in with a browser.
"""
