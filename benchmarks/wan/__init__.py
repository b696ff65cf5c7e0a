"""What it costs to bring a new image over a thin line: `make bench-wan`, or `python -m benchmarks.wan`.

`pairs` are the images, `line` the thin line, `trip` what one journey costs. `sites` runs Skerry, `glance` a
stock Glance, `tools` the others; `stage` is what the figures share, `figures` has one module a figure.
`journeys` and `chunks` measure `skerry.chunking` alone, both ends in one process.
"""
