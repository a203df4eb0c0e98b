"""HTML pages for people.

Owns their templates, messages, styles, forms and languages.

A page calls the same operation as REST and GraphQL, and contains no rules of its own. Templates get plain models or a
namespace of them, never the request. The head of a template explains members that aren't obvious. Everything is loaded
with the first page, in a thread, so startup loads only what the API needs for sign-ins through a provider.
"""
