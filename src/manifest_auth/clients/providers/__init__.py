"""Operations on identity providers, for the admin API and the command line.

The rules of a kind of provider are in its module of ``sign_in/providers``.
"""
