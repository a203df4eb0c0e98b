"""A stand-in for Microsoft, which cannot run here: login, Graph and Dataverse on one socket of the loopback address."""
