"""What other programs talk to: the client plane, the admin plane, GraphQL and the operators' routes.

A module here owns its routes and their wire models: it reads a request, calls the domain once, and says what came of
it. Never holds a rule of the product.
"""
