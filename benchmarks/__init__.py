"""Skerry measured beside its neighbours: `make bench`, or `python -m benchmarks`.

Each figure is a ratio of two programs in one run: in each round every side is measured once, in turn, and the
medians are compared. `stage` starts the programs (from `peers`), `clients` are the same for all sides,
`figures` has one module a figure. Nothing here is a test: a goal that is missed is printed as missed.

`plan` measures rules instead of programs: `make bench-plan`. `fleet` has a thousand sites follow one:
`make bench-fleet`. `wan` is about thin lines: `make bench-wan`.

May import `peers` and the standard library; nothing of Skerry, which is started like any other program (but
for the rules that `plan` measures, the followers of `fleet`, and the lab's lines and the chunks of `wan`).
"""
