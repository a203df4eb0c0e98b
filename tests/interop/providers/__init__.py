"""The providers: how each is installed, started, and configured for our server, and how tests use its pages.

Nothing here is a stand-in: every provider is a published third-party package. A launcher can add data that an operator
would enter (clients, people, and their groups), but never changes what the provider sends.
"""
