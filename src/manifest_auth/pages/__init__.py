"""HTML pages for people.

Owns their templates, words, styles, forms and languages.

A page calls the operation that REST and GraphQL call, and holds no rule of its own. Templates get plain models or a
namespace of them, never the request; the head of a template says what is not obvious of its members. All of it is
loaded with the first page, in a thread: a start loads only what the API needs for sign-ins through a provider.
"""
