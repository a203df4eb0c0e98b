"""Libraries and products that others wrote sign users in through a client's issuer, unmodified."""
