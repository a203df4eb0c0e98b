"""GraphQL at ``/api/client/graphql``: the HTTP layer, the limits and the schema.

Owns the schema's text, in which each field names the permission that it needs. It has no rules of its own: a resolver
calls the function that REST calls. The first query loads the engine, see ``docs/decisions/0014-graphql.md``.
"""
