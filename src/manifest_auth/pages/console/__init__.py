"""The client console: pages for managing a client by hand, with the same operations as REST and GraphQL."""
