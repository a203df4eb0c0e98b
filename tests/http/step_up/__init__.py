"""Acts that require re-authentication of who acts, over HTTP."""
