"""Speed and memory, measured: paired runs, ratios, the machine named. `make bench` writes BENCHMARKS.md.

Nothing here is asserted in a timed test. The rooms below `bench` know nothing of it.
"""
