"""Benchmarks: ratios and times of one run, never limits."""
