"""A small emitter of LLVM's text form: typed values with operators, structured loops and branches.

Text is several times faster to make and to read than an object for each instruction. A `Function` collects lines; a `Value` is the name of
one result with its type. Operators exist where they mean one thing for all types (`+` of floats is `fadd`, of integers wraps); everything
that depends on a sign or a mode has a name of its own (`sdiv`, `lshr`, `slt`, `olt`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tpukernel.sim.jit.llvm import Target

__all__ = ["F16", "F32", "F64", "I1", "I8", "I16", "I32", "I64", "PTR", "Function", "Loop", "Number", "Type", "Value", "integer"]


@dataclass(frozen=True, slots=True)
class Type:
    """A type: LLVM's name of an element, and how many of them a vector has (0 for a scalar)."""

    element: str
    lanes: int = 0

    def __str__(self) -> str:
        return f"<{self.lanes} x {self.element}>" if self.lanes else self.element

    @property
    def is_float(self) -> bool:
        return self.element in _FLOAT_BITS

    @property
    def bits(self) -> int:
        """Width of an element."""
        return _FLOAT_BITS.get(self.element) or (64 if self.element == "ptr" else int(self.element[1:]))

    def of(self, other: Type) -> Type:
        """That element type, with the lanes of this type."""
        return Type(other.element, self.lanes)

    def vector(self, lanes: int) -> Type:
        """That many of them."""
        return Type(self.element, lanes)

    @property
    def as_integer(self) -> Type:
        return Type(f"i{self.bits}", self.lanes)


_FLOAT_BITS = {"half": 16, "float": 32, "double": 64}
I1, I8, I16, I32, I64 = (Type(f"i{bits}") for bits in (1, 8, 16, 32, 64))
F16, F32, F64, PTR = Type("half"), Type("float"), Type("double"), Type("ptr")
Number = int | float


def integer(bits: int, lanes: int = 0) -> Type:
    """The integer type of that width."""
    return Type(f"i{bits}", lanes)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """The result of an instruction, a constant or an argument."""

    function: Function
    type: Type
    text: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"

    def _binary(self, name: str, other: Value | Number) -> Value:
        right = self.like(other)
        return self.function.emit(self.type, f"{name} {self}, {right.text}")

    def like(self, other: Value | Number) -> Value:
        """A number as a constant of this value's type; a value as it is."""
        if isinstance(other, Value):
            if other.type != self.type:
                raise TypeError(f"{self} and {other} are of different types")
            return other
        return self.function.constant(self.type, other)

    def like_bits(self, bits: int) -> Value:
        """A constant of this value's type with these bits."""
        return self.function.constant(self.type.as_integer, bits).bitcast(Type(self.type.element))

    def __add__(self, other: Value | Number) -> Value:
        return self._binary("fadd" if self.type.is_float else "add", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self._binary("fsub" if self.type.is_float else "sub", other)

    def __mul__(self, other: Value | Number) -> Value:
        return self._binary("fmul" if self.type.is_float else "mul", other)

    def __and__(self, other: Value | Number) -> Value:
        return self._binary("and", other)

    def __or__(self, other: Value | Number) -> Value:
        return self._binary("or", other)

    def __xor__(self, other: Value | Number) -> Value:
        return self._binary("xor", other)

    def __lshift__(self, other: Value | Number) -> Value:
        return self._binary("shl", other)

    def __invert__(self) -> Value:
        return self._binary("xor", -1)

    def lshr(self, other: Value | Number) -> Value:
        """Shifted right, with zeros from the left."""
        return self._binary("lshr", other)

    def ashr(self, other: Value | Number) -> Value:
        """Shifted right, with copies of the sign."""
        return self._binary("ashr", other)

    def sdiv(self, other: Value | Number) -> Value:
        return self._binary("sdiv", other)

    def compare(self, predicate: str, other: Value | Number) -> Value:
        """One bit for each element: LLVM's predicate, `slt`, `eq`, `ogt`, `uno`, ..."""
        right = self.like(other)
        name = "fcmp" if self.type.is_float else "icmp"
        return self.function.emit(self.type.of(I1), f"{name} {predicate} {self}, {right.text}")

    def choose(self, true: Value | Number, false: Value | Number) -> Value:
        """By these bits one or the other (one of them is a value)."""
        known = true if isinstance(true, Value) else false
        if not isinstance(known, Value):
            raise TypeError("choose between a value and another or a number")
        return self.function.emit(known.type, f"select {self}, {known.like(true)}, {known.like(false)}")

    def convert(self, name: str, to: Type) -> Value:
        """LLVM's conversion of that name, to that element type: `zext`, `sext`, `trunc`, `fpext`, `sitofp`, ..."""
        return self.function.emit(self.type.of(to), f"{name} {self} to {self.type.of(to)}")

    def zext(self, to: Type) -> Value:
        """With zeros to a wider integer; the same width gives the value itself."""
        return self if to.bits == self.type.bits else self.convert("zext", to)

    def sext(self, to: Type) -> Value:
        """With copies of the sign to a wider integer; the same width gives the value itself."""
        return self if to.bits == self.type.bits else self.convert("sext", to)

    def trunc(self, to: Type) -> Value:
        """The low bits; the same width gives the value itself."""
        return self if to.bits == self.type.bits else self.convert("trunc", to)

    def bitcast(self, to: Type) -> Value:
        """The same bits as another element type."""
        return self if to.element == self.type.element else self.convert("bitcast", to)

    def intrinsic(self, name: str, *others: Value | Number) -> Value:
        """LLVM's function of that name on values of this type, for example `smax`."""
        type = self.type
        suffix = {"half": "f16", "float": "f32", "double": "f64"}.get(type.element, type.element)
        full = f"llvm.{name}.{f'v{type.lanes}' if type.lanes else ''}{suffix}"
        return self.function.call(full, type, [self, *(self.like(other) for other in others)])

    def smin(self, other: Value | Number) -> Value:
        return self.intrinsic("smin", other)

    def smax(self, other: Value | Number) -> Value:
        return self.intrinsic("smax", other)

    def umin(self, other: Value | Number) -> Value:
        return self.intrinsic("umin", other)

    def clamp(self, low: int, high: int) -> Value:
        """A signed integer brought between two limits."""
        return self.smax(low).smin(high)

    def any(self) -> Value:
        """Whether one of these bits is set."""
        if not self.type.lanes:
            return self
        word = integer(self.type.lanes)
        return self.function.emit(word, f"bitcast {self} to {word}").compare("ne", 0)

    def splat(self, lanes: int) -> Value:
        """This scalar in every lane of a vector."""
        vector = Type(self.type.element, lanes)
        first = self.function.emit(vector, f"insertelement {vector} poison, {self}, i64 0")
        return self.function.emit(vector, f"shufflevector {first}, {vector} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, other: Value, places: Sequence[int]) -> Value:
        """A vector of these elements of this vector and (counted on) of another one."""
        mask = f"<{len(places)} x i32> <{', '.join(f'i32 {place}' for place in places)}>"
        return self.function.emit(self.type.vector(len(places)), f"shufflevector {self}, {self.like(other)}, {mask}")

    def offset(self, count: Value | int) -> Value:
        """The pointer that many bytes farther."""
        return self.function.emit(PTR, f"getelementptr i8, {self}, {self.function.i64(count)}")

    def load(self, type: Type, align: int = 1) -> Value:
        """What this pointer points to."""
        return self.function.emit(type, f"load {type}, {self}, align {align}")

    def store(self, value: Value, align: int = 1) -> None:
        """Put a value where this pointer points to."""
        self.function.line(f"store {value}, {self}, align {align}")

    def load_masked(self, type: Type, mask: Value) -> Value:
        """The elements of a vector type for which a mask has a bit; zeros for the others, which are not touched."""
        align = self.function.constant(I32, 1)
        name = f"llvm.masked.load.v{type.lanes}{type.element}.p0"
        return self.function.call(name, type, [self, align, mask, self.function.constant(type, 0)])

    def store_masked(self, value: Value, mask: Value) -> None:
        """Put the elements of a vector for which a mask has a bit where this pointer points to."""
        align = self.function.constant(I32, 1)
        self.function.call_void(f"llvm.masked.store.v{value.type.lanes}{value.type.element}.p0", [value, self, align, mask])


class Loop:
    """Inside of a loop: its index, the values carried from turn to turn, and where their next ones go."""

    def __init__(self, index: Value, values: list[Value]) -> None:
        self.index = index
        self.values = values
        self.next = list(values)


class Function:
    """One function, the only one of its module.

    Args:
        name: name of the function.
        arguments: their types; `arguments` of the object are the values.
        result: what it returns.
        target: the processor that it is for.
    """

    def __init__(self, name: str, arguments: Sequence[Type], result: Type, target: Target) -> None:
        self.name = name
        self.target = target
        self.result = result
        self.arguments = [Value(self, type, f"%a{number}") for number, type in enumerate(arguments)]
        self._lines: list[str] = []
        self._declared: dict[str, str] = {}
        self._count = 0
        self._block = "entry"

    def __str__(self) -> str:
        arguments = ", ".join(map(str, self.arguments))
        body = "\n".join(self._lines)
        declared = "\n".join(self._declared.values())
        weights = '!0 = !{!"branch_weights", i32 1, i32 10000}'
        return f"define {self.result} @{self.name}({arguments}) nounwind {{\nentry:\n{body}\n}}\n{declared}\n{weights}\n"

    # ------------------------------------------------------------------ lines

    def line(self, text: str) -> None:
        """Add an instruction without a result."""
        self._lines.append(f"  {text}")

    def emit(self, type: Type, text: str) -> Value:
        """Add an instruction; its result."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {text}")
        return Value(self, type, name)

    def call(self, name: str, result: Type, arguments: Sequence[Value]) -> Value:
        """Call a function by name; it is declared by its use."""
        self._declared[name] = f"declare {result} @{name}({', '.join(str(value.type) for value in arguments)})"
        return self.emit(result, f"call {result} @{name}({', '.join(map(str, arguments))})")

    def call_void(self, name: str, arguments: Sequence[Value]) -> None:
        """Call a function that returns nothing."""
        self._declared[name] = f"declare void @{name}({', '.join(str(value.type) for value in arguments)})"
        self.line(f"call void @{name}({', '.join(map(str, arguments))})")

    def constant(self, type: Type, number: Number) -> Value:
        """A number as a constant, in every lane of a vector."""
        if type.is_float:
            bits = struct.unpack("<Q", struct.pack("<d", number))[0]
            literal = f"{type.element} 0x{bits:016X}" if type.element != "half" else f"half 0xH{_half(number):04X}"
        else:
            literal = f"{type.element} {_signed(int(number), type.bits)}"
        return Value(self, type, f"splat ({literal})" if type.lanes else literal.partition(" ")[2])

    def i64(self, value: Value | int) -> Value:
        """A number as a 64-bit integer."""
        return value if isinstance(value, Value) else self.constant(I64, value)

    def alloca(self, size: int, align: int = 64) -> Value:
        """Bytes that belong to this call."""
        return self.emit(PTR, f"alloca [{size} x i8], align {align}")

    def ret(self, value: Value | int) -> None:
        """Return."""
        value = value if isinstance(value, Value) else self.constant(self.result, value)
        self.line(f"ret {value}")

    # ------------------------------------------------------------------ blocks

    def label(self, hint: str) -> str:
        """A new name for a block."""
        self._count += 1
        return f"{hint}{self._count}"

    def block(self, label: str) -> None:
        """Here this block begins."""
        self._lines.append(f"{label}:")
        self._block = label

    @property
    def here(self) -> str:
        """The block that is being written."""
        return self._block

    def branch(self, label: str) -> None:
        """Go on there."""
        self.line(f"br label %{label}")

    def branch_if(self, condition: Value, then: str, otherwise: str, *, rare: bool = False) -> None:
        """Go on at one of two blocks; `rare`: seldom at the first."""
        self.line(f"br {condition}, label %{then}, label %{otherwise}{', !prof !0' if rare else ''}")

    def phi(self, choices: Sequence[tuple[Value, str]]) -> Value:
        """The value that belongs to the block from which we come."""
        type = choices[0][0].type
        return self.emit(type, f"phi {type} {', '.join(f'[ {value.text}, %{label} ]' for value, label in choices)}")

    @contextmanager
    def loop(
        self, start: Value | int, stop: Value | int, step: Value | int = 1, carried: Sequence[Value] = (), *, maybe_none: bool = False
    ) -> Generator[Loop]:
        """Repeat for `start`, `start + step`, ... below `stop`. There has to be at least one turn, unless `maybe_none`.

        Yields:
            the loop; afterwards its `values` are those of the last turn's `next`.
        """
        first, last = self.i64(start), self.i64(stop)
        body, latch, end = self.label("loop"), self.label("latch"), self.label("end")
        before = self._block
        if maybe_none:
            self.branch_if(first.compare("slt", last), body, end)
        else:
            self.branch(body)
        self.block(body)
        place = len(self._lines)
        index = self.emit(I64, "")
        loop = Loop(index, [self.emit(value.type, "") for value in carried])
        loop.next = list(loop.values)
        phis = [index, *loop.values]
        yield loop
        self.branch(latch)
        self.block(latch)
        following = [index + step, *loop.next]
        self.branch_if(following[0].compare("slt", last), body, end)
        for number, (phi, begin, after) in enumerate(zip(phis, [first, *carried], following, strict=True)):
            self._lines[place + number] = f"  {phi.text} = phi {phi.type} [ {begin.text}, %{before} ], [ {after.text}, %{latch} ]"
        self.block(end)
        if maybe_none:
            loop.values = [self.phi([(begin, before), (after, latch)]) for begin, after in zip(carried, following[1:], strict=True)]
        else:
            loop.values = following[1:]

    @contextmanager
    def when(self, condition: Value, *, rare: bool = False) -> Generator[None]:
        """Do something only if the condition holds."""
        then, end = self.label("then"), self.label("end")
        self.branch_if(condition, then, end, rare=rare)
        self.block(then)
        yield
        self.branch(end)
        self.block(end)

    def rarely(self, condition: Value, value: Value, otherwise: Callable[[], Value]) -> Value:
        """A value, or in the rare case that the condition holds another one that takes longer to compute."""
        then, end = self.label("rare"), self.label("end")
        before = self._block
        self.branch_if(condition, then, end, rare=True)
        self.block(then)
        other = otherwise()
        after = self._block
        self.branch(end)
        self.block(end)
        return self.phi([(value, before), (other, after)])


def _half(number: Number) -> int:
    return struct.unpack("<H", struct.pack("<e", number))[0]


def _signed(number: int, bits: int) -> int:
    low = number & ((1 << bits) - 1)
    return low - (1 << bits) if bits > 1 and low >> (bits - 1) else low
