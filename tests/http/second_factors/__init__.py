"""Users' second factors, over HTTP."""
