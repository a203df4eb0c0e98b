"""The providers: how each is installed, started, told about our server, and how its pages are answered.

Nothing here is a stand-in: every provider is someone else's published package. A launcher can add what an operator of
that provider would type in (clients, people, their groups), never what the provider says on the wire.
"""
