"""Topic boundaries and moments against those that people drew, for `benchmarks/moments.py`."""
