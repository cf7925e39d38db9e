"""Groups of 32 products of 16-bit floats: exact sums of what is left of the products, at speed.

Of each product only the bits down to 2**(e - 24) count, where 2**e is the magnitude of the largest product of the group. So the exponent e
is needed before the sum. There are three ways to it, each for a block of rows:

* codes: for each number of the panel a 16-bit code, for each number of the left factor another one, so that their largest sum tells e.
  With E the largest exponent of a column and m = 1024 .. 2047 the digits of a number, its code is `(15 + exponent - E) * 2048 + m`; on the
  left it is `(exponent - E) * 2048 - ceil(2**21 / m)`. Since `m * m' >= 2**21` exactly if `m >= ceil(2**21 / m')`, the largest sum
  shifted right by 11 is `e - E - E' + 14`. It is known exactly if it is not negative. Codes of numbers too small to matter are 0, on the
  left -32768; so no sum leaves 16 bits, and all with such a code are negative.
* products: the largest product itself, if that fails.
* slow: everything in integers, where infinities, NaNs, or products near the ends of the range of f32 meet.

Then a product times 2**(24 - e), cut off to an integer, is what counts of it, and the sum of 32 of them fits into 32 bits.

Exponents are those of f32 with their bias of 127. Columns (on the left: rows) of zeros count as if their exponent were 127.
"""

from __future__ import annotations

from tpukernel.sim.interpreter.numerics.accumulate import GROUP
from tpukernel.sim.jit.ir import F32, F64, I1, I16, I32, I64, PTR, Function, Type, Value
from tpukernel.sim.jit.llvm import Target
from tpukernel.sim.jit.products.kinds import GROUPS

__all__ = ["ZERO_EXPONENT", "GroupBlock", "GroupPanel", "digits_of", "exponent_of", "group_functions", "marked_special"]

ZERO_EXPONENT = 127
SPECIAL = 1000
"""Stands for the exponent of infinities and NaNs, so that no sum with it is in the range of the codes."""
LEAST_SUM, MOST_SUM = 166, 379
"""Sums of exponents with which every product is a normal number, and so is every number computed with the codes."""
MAGNITUDE = 0x7FFFFFFF
NO_CODE = -32768
"""Code on the left of a number too small to matter."""


class GroupPanel:
    """A packed group of the right factor: numbers (32, columns) as f32, codes as i16, by column 419 minus its exponent, and the least and
    the greatest of the exponents.
    """

    def __init__(self, target: Target) -> None:
        self.lanes, self.vectors = GROUPS.lanes(target), GROUPS.vectors(target)
        self.columns = self.lanes * self.vectors
        self.codes = 4 * GROUP * self.columns
        self.exponents = self.codes + 2 * GROUP * self.columns
        self.least = self.exponents + 4 * self.columns
        self.most = self.least + 4
        self.bytes = (self.most + 67) // 64 * 64


class GroupBlock:
    """A packed group of a block of rows of the left factor: numbers (rows, 32) as f32, codes twice in an i32, by row minus its exponent,
    and the least and the greatest of the exponents.
    """

    def __init__(self, target: Target) -> None:
        self.rows = GROUPS.rows(target)
        self.codes = 4 * GROUP * self.rows
        self.exponents = 2 * self.codes
        self.least = self.exponents + 4 * self.rows
        self.most = self.least + 4
        self.bytes = (self.most + 67) // 64 * 64


def group_functions(target: Target) -> list[Function]:
    """The functions of a module: `codes`, `tile` and what they call."""
    return [_codes(target), _tile(target), _row_scales(target), _row_sums(target), _row_slow(target)]


def exponent_of(bits: Value) -> Value:
    """The exponents of f32 bits, with their bias."""
    return bits.lshr(23) & 0xFF


def digits_of(bits: Value) -> Value:
    """The digits of normal 16-bit floats given as f32 bits: 1024 to 2047."""
    return bits.lshr(13) & 0x3FF | 0x400


def marked_special(exponent: Value) -> Value:
    """The greatest of some exponents, or `SPECIAL`."""
    return exponent.compare("eq", 0xFF).choose(SPECIAL, exponent)


def _codes(target: Target) -> Function:
    """`codes(panel, count)`: what a panel needs besides its numbers, of which those of `count` places are there."""
    layout = GroupPanel(target)
    function = Function("codes", [PTR, I64], I64, target)
    panel, count = function.arguments
    vector, row_bytes = Type("i32", layout.lanes), 4 * layout.columns
    zeros = function.constant(vector, 0)
    with function.loop(count, _whole(count), maybe_none=True) as k:
        for number in range(layout.vectors):
            panel.offset(k.index * row_bytes).offset(4 * layout.lanes * number).store(zeros, 4)
    low, high = function.constant(vector, 255), zeros
    with function.loop(0, layout.vectors, carried=[low, high]) as loop:
        column = loop.index * (4 * layout.lanes)
        numbers = panel.offset(column)
        with function.loop(0, count, carried=[zeros]) as k:
            k.next = [k.values[0].intrinsic("umax", exponent_of(numbers.offset(k.index * row_bytes).load(vector, 4)))]
        none = k.values[0].compare("eq", 0)
        greatest = none.choose(ZERO_EXPONENT, k.values[0])
        fill = none.choose(zeros.like(0x7FFF), 0)
        codes = panel.offset(layout.codes).offset(loop.index * (2 * layout.lanes))
        with function.loop(0, count) as k:
            bits = numbers.offset(k.index * row_bytes).load(vector, 4)
            exponent = exponent_of(bits)
            code = (((exponent - greatest + 15) << 11) + digits_of(bits)).smax(0)
            found = exponent.compare("eq", 0).choose(fill, code)
            codes.offset(k.index * (2 * layout.columns)).store(found.trunc(I16), 2)
        panel.offset(layout.exponents).offset(column).store(greatest.like(419) - greatest, 4)
        loop.next = [loop.values[0].umin(greatest), loop.values[1].intrinsic("umax", greatest)]
    least, most = (_reduce(name, value) for name, value in zip(("umin", "umax"), loop.values, strict=True))
    panel.offset(layout.least).store(least, 4)
    panel.offset(layout.most).store(marked_special(most), 4)
    function.ret(0)
    return function


def _reduce(name: str, value: Value) -> Value:
    return value.function.call(f"llvm.vector.reduce.{name}.v{value.type.lanes}i32", I32, [value])


def _tile(target: Target) -> Function:
    """`tile(count, left, offset, panel, sums)`: add a group, of which `count` places are used, to the sums of the block of rows at `left`
    plus the number at `offset`.
    """
    layout, block = GroupPanel(target), GroupBlock(target)
    function = Function("tile", [I64, PTR, PTR, PTR, PTR], I64, target)
    count, left, offset, panel, sums = function.arguments
    left = left.offset(offset.load(I64, 8))
    scales = function.alloca(4 * block.rows * layout.columns)
    least, most = (
        panel.offset(place).load(I32, 4) + left.offset(other).load(I32, 4)
        for place, other in ((layout.least, block.least), (layout.most, block.most))
    )
    safe = least.compare("sge", LEAST_SUM) & most.compare("sle", MOST_SUM)
    fast, check, apart, end = (function.label(name) for name in ("fast", "check", "apart", "end"))
    function.branch_if(safe, check, apart)

    function.block(check)
    largest = _largest_codes(function, layout, block, count, left, panel)
    negative = largest[0]
    for value in largest[1:]:
        negative = negative | value
    function.branch_if(negative.compare("slt", 0).any(), apart, fast, rare=True)

    function.block(fast)
    lanes = largest[0].type.lanes
    for number, value in enumerate(largest):
        row, part = divmod(number, layout.columns // lanes)
        exponent = left.offset(block.exponents + 4 * row).load(I32, 4).splat(lanes)
        columns = panel.offset(layout.exponents + 4 * lanes * part).load(Type("i32", lanes), 4)
        found = columns + exponent - value.sext(I32).ashr(11)
        scales.offset(4 * (row * layout.columns + part * lanes)).store(found << 23, 4)
    with function.loop(0, block.rows) as row:
        _call_row(function, "row_sums", layout, row.index, count, left, panel, scales, sums)
    function.branch(end)

    function.block(apart)
    with function.loop(0, block.rows) as row:
        bad = _call_row(function, "row_scales", layout, row.index, count, left, panel, scales, sums)
        slow, quick, done = (function.label(name) for name in ("slow", "quick", "done"))
        function.branch_if(bad.compare("ne", 0), slow, quick, rare=True)
        function.block(slow)
        _call_row(function, "row_slow", layout, row.index, count, left, panel, scales, sums)
        function.branch(done)
        function.block(quick)
        _call_row(function, "row_sums", layout, row.index, count, left, panel, scales, sums)
        function.branch(done)
        function.block(done)
    function.branch(end)
    function.block(end)
    function.ret(0)
    return function


def _largest_codes(function: Function, layout: GroupPanel, block: GroupBlock, count: Value, left: Value, panel: Value) -> list[Value]:
    """The largest sums of codes, by row and vector of columns."""
    lanes = function.target.vector_bytes // 2
    vectors = layout.columns // lanes
    vector, words = Type("i16", lanes), Type("i32", lanes // 2)
    none = function.constant(vector, NO_CODE)
    carried = [left.offset(block.codes), panel.offset(layout.codes), *[none] * (block.rows * vectors)]
    with function.loop(0, count, carried=carried) as loop:
        factor_at, column_at, *largest = loop.values
        columns = [column_at.offset(2 * lanes * number).load(vector, 2) for number in range(vectors)]
        found: list[Value] = []
        for row in range(block.rows):
            twice = factor_at.offset(4 * GROUP * row).load(I32, 4).splat(words.lanes)
            factor = function.emit(vector, f"bitcast {twice} to {vector}")
            for number, column in enumerate(columns):
                found.append(largest[row * vectors + number].smax(column + factor))
        loop.next = [factor_at.offset(4), column_at.offset(2 * layout.columns), *found]
    return loop.values[2:]


def _call_row(
    function: Function, name: str, layout: GroupPanel, row: Value, count: Value, left: Value, panel: Value, scales: Value, sums: Value
) -> Value:
    place = row * (4 * layout.columns)
    return function.call(name, I64, [count, left.offset(row * (4 * GROUP)), panel, scales.offset(place), sums.offset(place)])


class _Row:
    """A function `name(count, left, panel, scales, sums)` for one row of a block and that many places of a group."""

    def __init__(self, name: str, target: Target) -> None:
        self.layout = GroupPanel(target)
        self.function = Function(name, [I64, PTR, PTR, PTR, PTR], I64, target)
        self.count, self.left, self.panel, self.scales, self.sums = self.function.arguments
        self.vector = Type("float", self.layout.lanes)
        self.numbers = range(self.layout.vectors)

    def zeros(self) -> list[Value]:
        return [self.function.constant(self.vector.as_integer, 0) for _ in self.numbers]

    def place(self, pointer: Value, number: int) -> Value:
        return pointer.offset(4 * self.layout.lanes * number)

    def products(self, left: Value, panel: Value) -> list[Value]:
        factor = left.load(F32, 4).splat(self.layout.lanes)
        return [factor * self.place(panel, number).load(self.vector, 4) for number in self.numbers]

    def following(self, left: Value, panel: Value) -> list[Value]:
        return [left.offset(4), panel.offset(4 * self.layout.columns)]

    def add(self, number: int, value: Value) -> None:
        place = self.place(self.sums, number)
        place.store(place.load(self.vector, 4) + value, 4)


_UNROLLED = 2
"""Places that are added up in a turn. Zeros fill up what is used of a group."""


def _whole(count: Value) -> Value:
    return (count + (_UNROLLED - 1)) & -_UNROLLED


def _row_sums(target: Target) -> Function:
    """The sums of a row, from the bits of 2**(24 - e) in `scales`."""
    row = _Row("row_sums", target)
    function = row.function
    scales = [row.place(row.scales, number).load(row.vector, 4) for number in row.numbers]
    with function.loop(0, _whole(row.count), _UNROLLED, carried=[row.left, row.panel, *row.zeros()]) as loop:
        left, panel, *totals = loop.values
        for _ in range(_UNROLLED):
            products = row.products(left, panel)
            terms = [(product * scale).convert("fptosi", I32) for product, scale in zip(products, scales, strict=True)]
            totals = [total + term for total, term in zip(totals, terms, strict=True)]
            left, panel = row.following(left, panel)
        loop.next = [left, panel, *totals]
    for number, (total, scale) in enumerate(zip(loop.values[2:], scales, strict=True)):
        bits = scale.bitcast(I32)
        row.add(number, total.convert("sitofp", F32) * (bits.like(254 << 23) - bits).bitcast(F32))
    function.ret(0)
    return function


def _row_scales(target: Target) -> Function:
    """Puts the bits of 2**(24 - e) of a row into `scales`, from the products; 1 where the row has to go the slow way."""
    row = _Row("row_scales", target)
    function = row.function
    with function.loop(0, row.count, carried=[row.left, row.panel, *row.zeros()]) as loop:
        left, panel, *largest = loop.values
        products = row.products(left, panel)
        found = [most.intrinsic("umax", product.bitcast(I32) & MAGNITUDE) for most, product in zip(largest, products, strict=True)]
        loop.next = [*row.following(left, panel), *found]
    bad = function.constant(Type("i1", row.layout.lanes), 0)
    for number, bits in enumerate(loop.values[2:]):
        exponent = bits.lshr(23)
        bad = bad | exponent.compare("eq", 0xFF) | (exponent.compare("ult", 25) & exponent.compare("ne", 0))
        row.place(row.scales, number).store((exponent.like(278) - exponent.smax(25)) << 23, 4)
    function.ret(bad.any().convert("zext", I64))
    return function


def _row_slow(target: Target) -> Function:
    """The sums of a row in integers, infinities and NaNs included."""
    row = _Row("row_slow", target)
    function = row.function
    with function.loop(0, row.count, carried=[row.left, row.panel, *row.zeros()]) as loop:
        left, panel, *largest = loop.values
        exponents = [exponent_of(product.bitcast(I32)) for product in row.products(left, panel)]
        found = [most.intrinsic("umax", exponent) for most, exponent in zip(largest, exponents, strict=True)]
        loop.next = [*row.following(left, panel), *found]
    for number, largest in enumerate(loop.values[2:]):
        row.add(number, _slow_vector(row, number, largest))
    function.ret(0)
    return function


def _slow_vector(row: _Row, number: int, largest: Value) -> Value:
    function, lanes = row.function, row.layout.lanes
    zeros, never = row.zeros()[0], function.constant(Type(I1.element, lanes), 0)
    with function.loop(0, row.count, carried=[row.left, row.place(row.panel, number), zeros, never, never]) as loop:
        left, panel, total, up, down = loop.values
        product = left.load(F32, 4).splat(lanes) * panel.load(row.vector, 4)
        bits = product.bitcast(I32)
        exponent = exponent_of(bits)
        digits = ((bits & 0x007F_FFFF | 0x0080_0000) << 1).lshr((largest - exponent).umin(31))
        digits = exponent.compare("eq", 0).choose(0, digits)
        signed = bits.compare("slt", 0).choose(digits.like(0) - digits, digits)
        up, down = up | bits.compare("eq", 0x7F800000), down | bits.compare("eq", 0xFF800000)
        loop.next = [*row.following(left, panel), total + signed, up, down]
    total, up, down = loop.values[2:]
    scale = ((largest.zext(I64) + (1023 - 127 - 24)) << 52).bitcast(F64)
    exact = total.convert("sitofp", F32).convert("fpext", F64) * scale
    # What rounds to the smallest normal number counts as that, also where the processor looks at the number before it is rounded.
    size = (exact.bitcast(I64) & ((1 << 63) - 1)).bitcast(F64)
    near = size.compare("oge", 2.0**-126 - 2.0**-150) & size.compare("olt", 2.0**-126)
    sign = exact.compare("olt", 0.0).choose(zeros.like(0x80800000), 0x00800000)
    rounded = near.choose(sign, exact.convert("fptrunc", F32).bitcast(I32))
    both = up & down
    infinite = up.choose(zeros.like(0x7F800000), down.choose(zeros.like(0xFF800000), 0xFFC00000))
    special = both.choose(0xFFC00000, infinite)
    return largest.compare("eq", 0xFF).choose(special, rounded).bitcast(F32)
