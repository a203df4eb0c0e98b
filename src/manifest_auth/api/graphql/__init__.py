"""GraphQL at ``/api/client/graphql``: the HTTP layer, the limits and the schema.

Owns the text of the schema, in which each field names the permission that it needs. It has no rules of its own: each
resolver calls the same function as REST. The first query loads the engine; see ``docs/decisions/0014-graphql.md``.
"""
