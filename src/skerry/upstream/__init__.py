"""The image service above this site: the line to it, its Image API v2, its records kept here.

May import `core`, `config`, `identity` and `catalog`.
"""
