"""Images as chunks: what two images have in common, and how to make one with as few bytes as possible.

The *view* of an image is what its chunks are cut of: what a guest sees of its disk, then those bytes of the
file that no guest sees. The *recipe* says how the file is made of its view. Both are in the image's *index*,
with an id for each chunk. A *sketch* finds the held chunks that a missing one is like, *packs* carry the
missing ones, a *plan* says what comes from where, and an *assembly* carries it out.

Plain functions that block; files in, files out. May import `core` only.
"""
