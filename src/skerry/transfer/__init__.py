"""Bring the bytes of one image to this site and keep them: ingest, publish, fetch, cache.

May import `core`, `config`, `stores`, `catalog` and `upstream`. Knows no HTTP request and no policy.
"""
