"""HTML pages for people. Owns their text, styles and content security policy.

Never calls the domain: a page's script calls the API like any other program.
"""
