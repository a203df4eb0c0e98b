"""GraphQL at ``/api/client/graphql``: the HTTP layer, the limits and the schema.

Owns the schema's text, in which each field says which permission it needs. Holds no rule of its own: a resolver calls
the function that REST calls. The engine is loaded with the first query, see ``docs/decisions/0014-graphql.md``.
"""
