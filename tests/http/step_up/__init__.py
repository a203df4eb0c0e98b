"""Actions that require re-authentication, over HTTP."""
