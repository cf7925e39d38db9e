"""The chip's numerics as vector code: one file per file of `tpukernel.sim.interpreter.numerics`, which is the definition of each."""
