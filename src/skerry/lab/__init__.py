"""A tree of sites on one machine, and links between them that can be cut, slowed and delayed.

Sites are `skerry serve` processes and know nothing of the lab; so it may import `core` alone.
"""
