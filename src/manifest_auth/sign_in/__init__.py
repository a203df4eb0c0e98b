"""Ways in and out for the users of tenants. A method proves who somebody is; ``finish`` alone opens sessions."""
