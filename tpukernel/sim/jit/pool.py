"""PorD lowered to windows that slide over planes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i32
from tpukernel.isa.pool import Pool, PoolOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.access import Place, place_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.llvm import host_target
from tpukernel.sim.jit.nest import is_injective
from tpukernel.sim.jit.windows.arithmetic import Arithmetic, Ending, FloatSum, IntegerSum, Largest, Largest16, LargestInteger
from tpukernel.sim.jit.windows.lines import Lines, WindowKernel, line_calls
from tpukernel.sim.jit.windows.regions import table_calls
from tpukernel.sim.jit.windows.slide import SLIDE_WORDS, Sliding, Unrolled
from tpukernel.sim.jit.windows.spread import Geometry, Mode, Spreading
from tpukernel.sim.jit.windows.stretch import GROUP, STRETCH_WORDS, emit_stretch
from tpukernel.sim.jit.workspace import Workspace
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_AVG = {PoolOp.AVG_POOL, PoolOp.ROI_AVG_POOL}
_MAX = {PoolOp.MAX_POOL, PoolOp.ROI_MAX_POOL}

MOST_SCRATCH = 1 << 28
MOST_UNROLLED = 64
"""Taps of a window that are all put into the code."""
ROWS = 4
"""Most rows of the result that are done together."""
STEPS = 200
"""Most steps of sums that are put into the code one after the other; those of 16-bit floats are four times as long."""


def lower(instruction: Pool, memory: Memory) -> list[Call] | None:
    """The calls that slide the window; None where the interpreter has to do it."""
    dst = place_of(memory, instruction.dst)
    if dst is None or not is_injective(dst.host) or not _is_plain(dst):
        return None
    lowering = _Lowering(instruction, memory, dst, Workspace())
    return lowering.regions() if instruction.roi is not None else lowering.windows()


@dataclass
class _Slide:
    """A window as the code sees it: `kernel` and result (oh, ow) in numbers of elements, the rest in bytes of the plane or its copy."""

    geometry: Geometry
    kernel: tuple[int, int]
    steps: tuple[int, int]
    stride: int
    dilation: int
    step: tuple[int, int, int]

    @property
    def is_stretch(self) -> bool:
        """Whether the only window covers elements that lie together, one after the other."""
        (kh, kw), size = self.kernel, self.geometry.itemsize
        rows_join = kh == 1 or self.dilation * self.geometry.row_bytes == kw * size
        return self.geometry.is_identity and self.steps == (1, 1) and rows_join and (kw == 1 or self.step[0] == size)


@dataclass
class _Lowering:
    instruction: Pool
    memory: Memory
    dst: Place
    work: Workspace

    # ------------------------------------------------------------------ the two kinds of windows

    def windows(self) -> list[Call] | None:
        instruction = self.instruction
        (kh, kw), (oh, ow) = instruction.kernel, instruction.dst.shape[2:]
        phases = instruction.stride[1] if ow > 1 else 1
        size = instruction.input.dtype.itemsize
        geometry = Geometry(instruction.input.shape[2:], size, instruction.padding, instruction.insert, phases)
        window = _Slide(
            geometry=geometry,
            kernel=(kh, kw),
            steps=(oh, ow),
            stride=instruction.stride[0] if oh > 1 else 1,
            dilation=instruction.dilation[0] if kh > 1 else 1,
            step=geometry.step(instruction.dilation[1]),
        )
        places = self._places()
        if places is None:
            return None
        if window.is_stretch and instruction.input.dtype.is_float and self._factors_follow:
            return self._stretch(places, kh * kw)
        if geometry.is_identity:
            return self._sliding(places, window, None, {})
        fills = self._fills()
        if fills is None:
            return None
        places |= fills
        return self._sliding(places, window, self._spreading(geometry), geometry.words(), geometry.bytes)

    def regions(self) -> list[Call] | None:
        instruction = self.instruction
        assert instruction.roi is not None and instruction.outside_value is not None  # noqa: S101 - a rule of the unit
        places, roi = self._places(), place_of(self.memory, instruction.roi)
        if places is None or roi is None:
            return None
        regions, taps = instruction.dst.shape[3], prod(instruction.kernel)
        if taps * regions > MOST_SCRATCH >> 4:
            return None
        roi = self.work.copy(roi)
        table = self.work.room((taps, regions), 4)
        self.work.add(table_calls(table, roi, instruction.kernel, instruction.input.shape[2:]))
        places["outside"] = Place.constant(instruction.outside_value)
        places["table"] = _repeated(table)
        size = instruction.input.dtype.itemsize
        step = regions * size
        window = _Slide(Geometry((taps, regions), size), (1, taps), (1, regions), 1, 1, (step, step, 0))
        spreading = Spreading(size, "regions", "never", inserted=False, columns=1)
        copy_bytes = -(-taps * regions * size // 64) * 64
        return self._sliding(places, window, spreading, {"region_taps": taps, "regions": regions}, copy_bytes)

    # ------------------------------------------------------------------ operands

    def _places(self) -> dict[str, Place] | None:
        """Where lines of the operands start that all kinds of windows have."""
        instruction = self.instruction
        weight = instruction.weight or instruction.scale or Constant(0, instruction.input.dtype)
        found: dict[str, Place] = {"dst": _lines(self.dst)}
        for name, operand in (("input", instruction.input), ("weight", weight), ("bias", self._bias)):
            place = self._readable(operand)
            if place is None:
                return None
            found[name] = _lines(place)
        if instruction.kernel_rotate and not isinstance(weight, Constant):
            host = found["weight"].host
            last = (prod(instruction.kernel) - 1) * weight.dtype.itemsize
            found["weight"] = replace(found["weight"], host=replace(host, base=host.base + last))
        return found

    @property
    def _bias(self) -> LocalTensor | Constant:
        instruction, dtype = self.instruction, self.instruction.input.dtype
        if instruction.op in _AVG and dtype.is_float:
            return Constant(1 << (dtype.bits - 1), dtype)
        return instruction.bias or Constant(0, dtype if dtype.is_float else i32)

    @property
    def _factors_follow(self) -> bool:
        """Whether the factors lie one behind the other like the taps, or there is one for all."""
        weight = self.instruction.weight
        return weight is None or (isinstance(weight, LocalTensor) and not self.instruction.kernel_rotate)

    def _readable(self, operand: LocalTensor | Constant) -> Place | None:
        """An operand whose planes have no gaps, or a copy of it where it has, or where the result lies over it."""
        place = place_of(self.memory, operand)
        if place is None or isinstance(operand, Constant):
            return place
        place = self.work.apart(place, self.dst)
        return place if _is_plain(place) else self.work.copy(place)

    def _fills(self) -> dict[str, Place] | None:
        """The values of padding and insertions."""
        instruction, zero = self.instruction, Constant(0, self.instruction.input.dtype)
        pad = self._readable(instruction.pad_value or zero)
        insert = self._readable(instruction.insert_value or zero)
        if pad is None or insert is None:
            return None
        if isinstance(instruction.pad_value, LocalTensor):
            pad = _lines(pad)
            insert = replace(pad, host=replace(pad.host, base=pad.host.base + pad.host.itemsize))
        return {"pad": pad, "insert": insert}

    # ------------------------------------------------------------------ calls

    def _spreading(self, geometry: Geometry) -> Spreading:
        inserted, columns = any(geometry.insert), geometry.size[1]
        mode: Mode = "rows"
        if geometry.insert[1]:
            mode = "columns"
        elif geometry.phases > 2 or (geometry.phases == 2 and columns < 2):
            mode = "groups"
        elif geometry.phases == 2:
            mode, columns = "pairs", columns // 2
        per_channel = isinstance(self.instruction.pad_value, LocalTensor)
        fills = "each" if per_channel else "once" if inserted or any(geometry.padding) else "never"
        return Spreading(geometry.itemsize, mode, fills, inserted, _power_of_two(columns, 64))

    def _stretch(self, places: dict[str, Place], taps: int) -> list[Call] | None:
        arithmetic = self._arithmetic()

        def make(depth: int) -> WindowKernel:
            key = f"stretch:{arithmetic.key}:{depth}"
            return WindowKernel(key, tuple(places), STRETCH_WORDS, lambda lines: emit_stretch(arithmetic, lines), None, GROUP, depth)

        self.work.add(line_calls(make, places, {"taps": taps}, 5 + 0.3 * taps))
        return self.work.finished()

    def _sliding(
        self, places: dict[str, Place], window: _Slide, spreading: Spreading | None, words: dict[str, int], copy_bytes: int = 0
    ) -> list[Call] | None:
        sliding = self._slide_of(window)
        words = {**words, **self._slide_words(window), "room_bytes": copy_bytes}
        names = SLIDE_WORDS
        if spreading is not None:
            names = (*SLIDE_WORDS, *spreading.words, "room_bytes")
            places = {**places, "room": _repeated(self.work.room((64,), 1))}
        make = _kernel(sliding, spreading, tuple(places), names)
        results, taps = prod(window.steps), prod(window.kernel)
        calls = line_calls(make, places, words, 10 + 0.1 * results * (1 + taps) + 0.2 * prod(window.geometry.size))
        self.work.add(calls)
        if spreading is not None:  # behind the beginning of the room, which is the last one that was given out
            copies = max((call.units for call in calls or ()), default=0)
            if copies * copy_bytes > MOST_SCRATCH:
                return None
            self.work.room((copies * copy_bytes,), 1)
        return self.work.finished()

    def _slide_of(self, window: _Slide) -> Sliding:
        arithmetic, (kh, kw), (oh, ow) = self._arithmetic(), window.kernel, window.steps
        columns = _power_of_two(ow, 64)
        taps = kh * kw
        lanes = min(columns, 8 * host_target().vector_bytes // arithmetic.width)
        steps = STEPS // 4 if arithmetic.dtype in (f16, bf16) else STEPS
        phased = window.geometry.phases > 1
        if taps <= min(MOST_UNROLLED, steps) and self.instruction.roi is None:
            rows = _power_of_two(min(oh, steps // taps), ROWS)
            return Sliding(arithmetic, columns, 1, rows, phased, Unrolled((kh, kw), window.stride, window.dilation))
        vectors = _power_of_two(-(-ow // lanes), ROWS)
        together = 2 * ROWS if host_target().vector_bytes == 64 else ROWS  # half as many registers
        return Sliding(arithmetic, columns, vectors, _power_of_two(oh, min(ROWS, together // vectors)), phased, None)

    def _slide_words(self, window: _Slide) -> dict[str, int]:
        instruction, row = self.instruction, window.geometry.row_bytes
        weight, size = instruction.weight, instruction.input.dtype.itemsize
        step, wrapped, groups = window.step
        return {
            "kh": window.kernel[0],
            "kw": window.kernel[1],
            "oh": window.steps[0],
            "ow": window.steps[1],
            "row_bytes": window.stride * row,
            "tap_row_bytes": window.dilation * row,
            "out_row_bytes": window.steps[1] * instruction.dst.dtype.itemsize,
            "weight_bytes": (-size if instruction.kernel_rotate else size) if isinstance(weight, LocalTensor) else 0,
            "shift": instruction.right_shift or 0,
            "odd_taps": prod(window.kernel) % 2,
            "plane_row_bytes": row,
            "step_bytes": step,
            "wrapped_step_bytes": wrapped,
            "phase_step": groups,
            "phases": window.geometry.phases,
        }

    # ------------------------------------------------------------------ arithmetic

    def _arithmetic(self) -> Arithmetic:
        instruction, dtype = self.instruction, self.instruction.input.dtype
        if instruction.op in _MAX:
            return LargestInteger(dtype) if dtype.is_int else Largest(dtype) if dtype == f32 else Largest16(dtype)
        average = instruction.op in _AVG
        if dtype.is_float:
            return FloatSum(dtype, average)
        factors = instruction.scale if average else instruction.weight
        assert factors is not None  # noqa: S101 - a rule of the unit
        return IntegerSum(dtype, factors.dtype, average, self._ending())

    def _ending(self) -> Ending:
        instruction = self.instruction
        dst: Dtype = instruction.dst.dtype
        signed = any(use.value.dtype.is_signed for use in instruction.operands() if use.name in ("input", "weight", "bias", "scale"))
        if instruction.roi is not None:
            return Ending(dst, signed, wraps=True)
        return Ending(
            dst,
            signed,
            shifted=bool(instruction.right_shift),
            rounding=Rounding.HALF_UP if instruction.rounding is None else instruction.rounding,
            relu=instruction.op is PoolOp.DEPTHWISE_RELU,
        )


def _kernel(
    sliding: Sliding, spreading: Spreading | None, operands: tuple[str, ...], words: tuple[str, ...]
) -> Callable[[int], WindowKernel]:
    """The kernel for any number of loops over lines."""

    def body(lines: Lines) -> None:
        sliding.emit(lines, lines.members[0]["input"] if spreading is None else spreading.emit(lines))

    def make(depth: int) -> WindowKernel:
        key = f"slide:{sliding.key}:{'' if spreading is None else spreading.key}:{depth}"
        return WindowKernel(key, operands, words, body, None if spreading is None else spreading.begin, depth=depth)

    return make


def _power_of_two(number: int, most: int) -> int:
    """The greatest one that is not more than either."""
    return min(1 << (number.bit_length() - 1), most)


def _is_plain(place: Place) -> bool:
    """Whether the elements of a plane lie one behind the other."""
    *_, h, w = place.host.axes
    expected = [(w, place.host.itemsize), (h, w.count * place.host.itemsize)]
    return all(axis.count == 1 or (axis.period == 1 and axis.outer == stride) for axis, stride in expected)


def _lines(place: Place) -> Place:
    """Where the planes of an operand start."""
    n, c, *inner = place.host.axes
    first = place.host.base + sum(int(axis.offsets()[0]) for axis in inner)
    return replace(place, host=replace(place.host, base=first, axes=(n, c, Axis(1, 0), Axis(1, 0))))


def _repeated(place: Place) -> Place:
    """The same beginning for all lines."""
    return replace(place, host=replace(place.host, axes=(Axis(1, 0),) * 4))
