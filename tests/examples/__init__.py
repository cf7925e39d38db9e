"""The kernels of `examples/kernels`."""
