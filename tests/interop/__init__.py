"""Sign-in through identity providers that others wrote: each a real server, installed by its package's name."""
