"""SCIM clients of identity providers: recorded requests, and a checker of the RFCs."""
