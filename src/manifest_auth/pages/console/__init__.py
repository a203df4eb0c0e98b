"""The client console: what those who manage a client do by hand, by the operations that REST and GraphQL call."""
