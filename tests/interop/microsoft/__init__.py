"""A stand-in for Microsoft, which can't run here: login, Graph, and Dataverse on one loopback socket."""
