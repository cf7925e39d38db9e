"""Native execution: programs as calls of machine code that is made on the spot, equal to the interpreter in every bit.

    plan = plan_of(program, memory)                 each command lowered to calls of kernels, or left to the interpreter
    NativeExecution(program, memory).run(0, n)      native calls for stretches of commands, and the interpreter between them

A unit takes part by a module of its stem with a function `lower(instruction, memory) -> list[Call] | None`; None leaves that instruction to
the interpreter. Elementwise units make their calls with `nest_kernel.nest_calls`, others bring kernels of their own (`kernel.Kernel`).
"""

from __future__ import annotations

from tpukernel.sim.jit.plan import Plan, plan_of
from tpukernel.sim.jit.run import NativeExecution

__all__ = ["NativeExecution", "Plan", "plan_of"]
