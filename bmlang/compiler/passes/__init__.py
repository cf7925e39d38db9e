"""Passes over graphs, one per file: each takes a graph and gives one that computes the same."""
