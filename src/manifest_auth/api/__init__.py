"""The interfaces for other programs: REST for users, REST for system admins, GraphQL, and operational routes.

A module owns its routes and their wire models. It reads a request, calls the domain once, and returns the result. It
never contains a rule of the product.
"""
