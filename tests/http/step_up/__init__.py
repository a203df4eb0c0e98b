"""Acts that need a recent proof of who acts, over HTTP."""
