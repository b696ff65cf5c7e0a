"""Records that travel between sites by themselves: what is given, what is followed, what is sent up.

What is right and what is refused is decided in `core.feed`, and kept by `catalog.journal`. This folder may
import everything below the API.
"""
