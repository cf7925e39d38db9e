"""Arithmetic of the chip on numpy arrays, shared by the units: floats, integers, sums in the chip's order."""
