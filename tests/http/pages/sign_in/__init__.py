"""Second factors on the pages of sign-in, over HTTP."""
