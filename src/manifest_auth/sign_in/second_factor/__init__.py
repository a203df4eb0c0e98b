"""The second factor of users: whether one is due, and the responses that complete it."""
