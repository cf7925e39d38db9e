"""Kernels as text: the printed form of the intermediate representation, which people can write, too."""
