"""The second factor of users: whether one is due, and the answers that end the wait."""
