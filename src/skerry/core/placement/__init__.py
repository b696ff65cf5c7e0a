"""Which images ought to be at which sites, and what follows from it: plain values and rules.

From the rules to the deeds: `rule` (a placement), `document` (its form in a file), `planner` (what ought to
be, for all images and sites), `reconcile` (what a site has to do about it), `knowledge` (what can be said of
a copy), `proposal` (what other placements would change), `wire` (all of it as JSON).

Times are seconds since the epoch. May import the rest of `core`.
"""
