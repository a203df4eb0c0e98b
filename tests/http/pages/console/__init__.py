"""The client console, over HTTP."""
