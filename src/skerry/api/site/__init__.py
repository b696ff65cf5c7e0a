"""Skerry's own API under /skerry/v1: the state of this site, pins, resumable uploads."""
