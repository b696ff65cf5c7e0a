"""The feed: how records travel between sites, as rules over values; no input or output.

`entry` says what travels and how its home vouches for it, `lines` how it is written down between two sites,
`digest` how a whole catalogue is summed up, `follow` what a follower takes and what it refuses, `offer` what
a site hands on to another.
"""
