"""GraphQL at ``/api/client/graphql``: the HTTP layer, the limits and the schema. Holds no rule of its own."""
