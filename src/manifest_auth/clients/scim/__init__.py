"""SCIM 2.0 (RFC 7643, RFC 7644): users and groups that an identity provider's connection manages.

``users`` and ``groups`` own the rows and the rules, and know no message. ``protocol`` and ``storage`` join them to the
libraries ``scim2-server`` and ``scim2-models``, which are imported with the first request (extra ``scim``).
"""
