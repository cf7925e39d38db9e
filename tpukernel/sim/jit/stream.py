"""The executor: one native call that works off a table of kernel calls.

A row of the table is {function, record, units, flags, slice, 0}, six 64-bit words. The executor sets the floating-point mode that a kernel
is made for, and the caller's mode again before it returns. Several threads may run the same table: each does its part of the units of a
row, and they meet at a barrier behind it. Small rows are done by the first thread alone; where one follows the other nobody has to meet.

A row that takes long is done in slices of some units (0: all at once), and between two of them the executor looks whether it has to stop.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from typing import cast

from tpukernel.sim.jit.llvm import ENTRY, Target, host_target, load

__all__ = ["CONTROL_WORDS", "NO_BARRIER", "ROW", "SMALL", "STOPPED", "WITH_DENORMALS", "executor", "stream_module"]

ROW = 6
"""Words of a row."""

WITH_DENORMALS = 1
"""Flag of a row: denormal numbers count."""

SMALL = 2
"""Flag of a row: the first thread does it alone."""

NO_BARRIER = 4
"""Flag of a row: the threads need not meet behind it, since the next row is as small."""

CONTROL_WORDS = 24
"""Words that the threads of one run share: arrivals at the barrier, the row that stopped, each in a cache line of its own."""

_ARRIVED, STOPPED = 0, 8
"""The shared words that are used: how often threads came to a barrier; not 0 when all of them are to stop there."""
_SPINS = 300
"""Looks at the barrier before the thread offers its processor to others."""

Run = Callable[[int, int, int, int, int, int], int]
"""(table, first row, row behind the last, control, thread, threads) -> first row that was not done."""


@cache
def executor() -> Run:
    """The executor for this processor; lets other Python threads run meanwhile."""
    symbols = {"sched_yield": _yield_address()}
    address = load(stream_module(host_target()), symbols)
    word = ctypes.c_int64
    function = ctypes.CFUNCTYPE(word, word, word, word, word, word, word)(address)
    return cast("Run", function)


def _yield_address() -> int:
    library, name = ("kernel32", "SwitchToThread") if os.name == "nt" else (None, "sched_yield")
    return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value or 0


_FLAGS = {"denormals": WITH_DENORMALS, "small": SMALL, "no_barrier": NO_BARRIER}


def stream_module(target: Target) -> str:
    """The executor in LLVM's text form."""
    modes = _X86 if target.is_x86 else _AARCH64
    return _EXECUTOR.format(row=8 * ROW, arrived=8 * _ARRIVED, stopped=8 * STOPPED, spins=_SPINS, entry=ENTRY, **_FLAGS, **modes)


_X86 = {
    "pause": "call void @llvm.x86.sse2.pause()",
    "get": "call void @llvm.x86.sse.stmxcsr(ptr %saved)",
    "set": f"""%control.word = select i1 %ieee, i32 {0x1F80}, i32 {0x9FC0}
  store i32 %control.word, ptr %mode.cell
  call void @llvm.x86.sse.ldmxcsr(ptr %mode.cell)""",
    "restore": "call void @llvm.x86.sse.ldmxcsr(ptr %saved)",
    "declared": """declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)""",
}
"""MXCSR: all exceptions masked, round to nearest even; flush to zero and denormals are zeros set or not."""

_AARCH64 = {
    "pause": "call void @llvm.aarch64.hint(i32 1)",
    "get": "%word = call i64 @llvm.aarch64.get.fpcr()\n  store i64 %word, ptr %saved",
    "set": f"""%control.word = select i1 %ieee, i64 0, i64 {1 << 24}
  call void @llvm.aarch64.set.fpcr(i64 %control.word)""",
    "restore": "%old = load i64, ptr %saved\n  call void @llvm.aarch64.set.fpcr(i64 %old)",
    "declared": """declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)""",
}
"""FPCR: round to nearest even; flush to zero set or not."""

_EXECUTOR = """
define i64 @{entry}(i64 %table, i64 %first, i64 %last, i64 %shared, i64 %thread, i64 %threads) nounwind {{
entry:
  %saved = alloca i64
  %mode.cell = alloca i64
  {get}
  %rows = inttoptr i64 %table to ptr
  %control = inttoptr i64 %shared to ptr
  %arrived = getelementptr i8, ptr %control, i64 {arrived}
  %stopped = getelementptr i8, ptr %control, i64 {stopped}
  %alone = icmp eq i64 %threads, 1
  %next.thread = add i64 %thread, 1
  br label %head
head:
  %index = phi i64 [ %first, %entry ], [ %following, %join ]
  %mode = phi i64 [ -1, %entry ], [ %wanted, %join ]
  %expected = phi i64 [ 0, %entry ], [ %expected.next, %join ]
  %more = icmp slt i64 %index, %last
  br i1 %more, label %row, label %out
row:
  %row.offset = mul i64 %index, {row}
  %at = getelementptr i8, ptr %rows, i64 %row.offset
  %record.at = getelementptr i8, ptr %at, i64 8
  %units.at = getelementptr i8, ptr %at, i64 16
  %flags.at = getelementptr i8, ptr %at, i64 24
  %slice.at = getelementptr i8, ptr %at, i64 32
  %function = load ptr, ptr %at
  %record = load ptr, ptr %record.at
  %units = load i64, ptr %units.at
  %flags = load i64, ptr %flags.at
  %slice = load i64, ptr %slice.at
  %wanted = and i64 %flags, {denormals}
  %small = and i64 %flags, {small}
  %is.small = icmp ne i64 %small, 0
  %unmet = and i64 %flags, {no_barrier}
  %is.unmet = icmp ne i64 %unmet, 0
  %same = icmp eq i64 %wanted, %mode
  br i1 %same, label %ready, label %switch
switch:
  %ieee = icmp ne i64 %wanted, 0
  {set}
  br label %ready
ready:
  br i1 %alone, label %whole, label %part
part:
  br i1 %is.small, label %single, label %split
single:
  %mine = icmp eq i64 %thread, 0
  %own = select i1 %mine, i64 %units, i64 0
  br label %whole
split:
  %begin.units = mul i64 %units, %thread
  %end.units = mul i64 %units, %next.thread
  %begin.part = udiv i64 %begin.units, %threads
  %end.part = udiv i64 %end.units, %threads
  br label %whole
whole:
  %begin = phi i64 [ 0, %ready ], [ 0, %single ], [ %begin.part, %split ]
  %end = phi i64 [ %units, %ready ], [ %own, %single ], [ %end.part, %split ]
  %unsliced = icmp eq i64 %slice, 0
  %slice.most = select i1 %unsliced, i64 -1, i64 %slice
  %some = icmp slt i64 %begin, %end
  br i1 %some, label %work, label %meet
work:
  %done = phi i64 [ %begin, %whole ], [ %reached, %looked ]
  %left = sub i64 %end, %done
  %long = icmp ult i64 %slice.most, %left
  %count = select i1 %long, i64 %slice, i64 %left
  %reached = add i64 %done, %count
  %status = call i64 %function(ptr %record, i64 %done, i64 %reached)
  %failed = icmp ne i64 %status, 0
  br i1 %failed, label %fail, label %worked
worked:
  %all.done = icmp eq i64 %reached, %end
  br i1 %all.done, label %meet, label %looked
looked:
  %asked = load atomic i64, ptr %stopped acquire, align 8
  %go.on = icmp eq i64 %asked, 0
  br i1 %go.on, label %work, label %out
fail:
  store atomic i64 1, ptr %stopped release, align 8
  br label %meet
meet:
  %following = add i64 %index, 1
  %unmeeting = or i1 %alone, %is.unmet
  %arrivals = select i1 %unmeeting, i64 0, i64 %threads
  %expected.next = add i64 %expected, %arrivals
  br i1 %unmeeting, label %join, label %arrive
arrive:
  %before = atomicrmw add ptr %arrived, i64 1 acq_rel
  br label %wait
wait:
  %spins = phi i64 [ 0, %arrive ], [ %spins.next, %again ], [ 0, %yield ]
  %now = load atomic i64, ptr %arrived acquire, align 8
  %all = icmp sge i64 %now, %expected.next
  %halt = load atomic i64, ptr %stopped acquire, align 8
  %halted = icmp ne i64 %halt, 0
  %leave = or i1 %all, %halted
  br i1 %leave, label %join, label %look
look:
  %patient = icmp slt i64 %spins, {spins}
  br i1 %patient, label %again, label %yield
again:
  {pause}
  %spins.next = add i64 %spins, 1
  br label %wait
yield:
  %ignored = call i32 @sched_yield()
  br label %wait
join:
  %stop = load atomic i64, ptr %stopped acquire, align 8
  %going = icmp eq i64 %stop, 0
  br i1 %going, label %head, label %out
out:
  %result = phi i64 [ %index, %head ], [ %index, %join ], [ %index, %looked ]
  {restore}
  ret i64 %result
}}
declare i32 @sched_yield()
{declared}
"""
