"""The instruction as an object: made, changed, compared, copied and refused. Properties over Arith and DmaTensor."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpukernel import BM1684, BM1684X, Dtype, f16, f32
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import DTYPES
from tpukernel.isa import Arith, ArithOp, DmaTensor, Instruction, Rounding, Sys, SysOp, decode, encode
from tpukernel.isa.errors import (
    ChipSupportError,
    FieldRangeError,
    LegalityError,
    OperandConflictError,
    OperandKindError,
    OperandLayoutError,
    OperandShapeError,
)

DDR = BM1684X.regions["ddr"].base
SHAPE: Dim4 = (1, 64, 4, 16)
X, Y, Z = (LocalTensor(address, SHAPE, f32) for address in (0x000, 0x100, 0x200))
ADD = Arith(op=ArithOp.ADD, dst=Z, src0=X, src1=Y, id=3, depends=2)
LOAD = DmaTensor(dst=X, src=SystemTensor(DDR, SHAPE, f32), id=3, depends=2)

# ---- instructions that a command can say; legal or not does not matter here

SIZES = st.integers(1, 0xFFFF)
SHAPES = st.tuples(SIZES, SIZES, SIZES, SIZES)
STRIDES = st.tuples(SIZES, SIZES, SIZES, SIZES)
NUMBERS = {"id": st.integers(0, (1 << 20) - 1), "depends": st.integers(0, (1 << 20) - 1)}
LOCAL_ADDRESSES = st.integers(0, BM1684X.local_bytes - 1)
ADDRESSES = st.integers(0, (1 << 26) - 1)


def arith_tensors(shape: Dim4, dtype: Dtype) -> st.SearchStrategy[LocalTensor]:
    plain = st.builds(LocalTensor, ADDRESSES, st.just(shape), st.just(dtype), st.sampled_from([Layout.EU_ALIGNED, Layout.COMPACT]))
    free = st.builds(LocalTensor, ADDRESSES, st.just(shape), st.just(dtype), st.just(Layout.FREE), STRIDES)
    return plain | free


@st.composite
def ariths(draw: st.DrawFn) -> dict[str, Any]:
    """The arguments of an Arith."""
    shape, dtype = draw(SHAPES), draw(st.sampled_from(list(DTYPES.values())))
    tensors = arith_tensors(shape, dtype)
    sources = tensors | st.builds(Constant, st.integers(0, 2**32 - 1), st.just(dtype))
    op = draw(st.sampled_from([ArithOp.ADD, ArithOp.MUL, ArithOp.MIN, ArithOp.DIV, ArithOp.ABS_DIFF]))
    values = {name: draw(strategy) for name, strategy in NUMBERS.items()}
    values |= {"op": op, "dst": draw(tensors), "src0": draw(sources), "src1": draw(sources)}
    return values | ({"iterations": draw(st.integers(1, 8))} if op is ArithOp.DIV else {})


@st.composite
def copies(draw: st.DrawFn) -> dict[str, Any]:
    """The arguments of a DmaTensor."""
    dtype, strided = draw(st.sampled_from(list(DTYPES.values()))), draw(st.booleans())
    strides = STRIDES if strided else st.none()

    def tensor() -> LocalTensor | SystemTensor:
        shape, given = draw(SHAPES), draw(strides)
        if draw(st.booleans()):
            return LocalTensor(draw(LOCAL_ADDRESSES), shape, dtype, Layout.FREE if strided else Layout.EU_ALIGNED, given)
        return SystemTensor(draw(st.integers(DDR, (1 << 40) - 1)), shape, dtype, given)

    values = {name: draw(strategy) for name, strategy in NUMBERS.items()}
    return values | {"dst": tensor(), "src": tensor(), "lane_mask": draw(st.integers(0, (1 << 64) - 1))}


ARGUMENTS = st.tuples(st.just(Arith), ariths()) | st.tuples(st.just(DmaTensor), copies())
Arguments = tuple[type[Instruction], dict[str, Any]]


def decoded(instruction: Instruction, **fields: int) -> Instruction:
    """The instruction as it comes out of a stream, with some fields of the command set to other numbers."""
    bits = instruction.encoded(BM1684X)
    record: int = bits.record
    for field, number in fields.items():
        low, mask = bits.format.masks[field]
        record = record & ~(mask << low) | number << low
    (found,) = decode(BM1684X, instruction.engine, record.to_bytes(bits.format.bytes, "little"))
    return found


def pickled(instruction: Instruction, protocol: int = pickle.DEFAULT_PROTOCOL) -> Instruction:
    """The instruction after a way through a pickle, as between two processes."""
    return pickle.loads(pickle.dumps(instruction, protocol))  # noqa: S301 - made a moment ago


# ---- equality


@given(ARGUMENTS)
def test_what_is_decoded_equals_what_was_built(arguments: Arguments) -> None:
    unit, values = arguments
    fresh, other, encoded = (unit(**values) for _ in range(3))
    encoded.encoded(BM1684X)
    view = decoded(encoded)
    same = [fresh, other, encoded, view, decoded(view)]
    for one in same:
        for two in same:
            assert one == two and hash(one) == hash(two)
    assert len({*same}) == 1
    for name in values:
        assert name == "dst" or repr(getattr(fresh, name)) == repr(getattr(encoded, name)), "encoding changes nothing that is seen"


@given(ARGUMENTS, ARGUMENTS)
def test_different_commands_are_not_equal(one: Arguments, two: Arguments) -> None:
    first, second = one[0](**one[1]), two[0](**two[1])
    if one[0] is two[0]:
        for name in second.specs:
            mixed = second.replace(**{name: getattr(first, name)})
            check_agreement(mixed, second)
    else:
        assert first != second and second != first


def check_agreement(one: Instruction, two: Instruction) -> None:
    """Equal before encoding, equal after encoding, and the same bytes are one and the same question."""
    before = one == two
    assert before == (two == one) and (not before or hash(one) == hash(two))
    try:
        records = one.encoded(BM1684X).record, two.encoded(BM1684X).record
    except (OperandConflictError, LegalityError):
        assert not before  # `two` can be encoded, `one` cannot
        return
    assert before == (records[0] == records[1]) == (one == two) == (decoded(one) == decoded(two))


def test_types_that_a_command_does_not_tell_apart_make_equal_instructions() -> None:
    """A DMA command copies bits; it does not know of signs. Equality is transitive with what was decoded between the two."""
    i8, u8 = (LOAD.replace(dst=LocalTensor(0, SHAPE, t), src=SystemTensor(DDR, SHAPE, t)) for t in (DTYPES["i8"], DTYPES["u8"]))
    assert i8 == u8 and hash(i8) == hash(u8) and i8 == decoded(u8) == u8
    assert (i8.dst.dtype.name, u8.dst.dtype.name) == ("i8", "u8"), "and are shown as they were written"
    assert u8.numbered(9, 9).dst.dtype.name == "u8"


def test_an_instruction_that_no_command_can_say_is_compared_by_its_operands() -> None:
    one, two = (ADD.replace(src1=LocalTensor(0x100, (1, 64, 4, 8), f32)) for _ in range(2))
    with pytest.raises(OperandConflictError):
        one.encoded(BM1684X)
    assert one == two and hash(one) == hash(two)
    for other in (ADD, decoded(ADD)):
        assert one != other and other != one


def test_other_things_are_not_equal() -> None:
    assert ADD != "arith.add" and Sys(op=SysOp.NOP, id=3, depends=2) != ADD
    assert decoded(ADD, intr_en=1) != ADD, "what nothing explains counts, too"


# ---- changes


@given(ARGUMENTS)
def test_nothing_can_be_assigned(arguments: Arguments) -> None:
    unit, values = arguments
    built = unit(**values)
    for instruction in (built, decoded(built)):
        for name in [*instruction.specs, "_bits", "residue", "anything"]:
            with pytest.raises(FrozenInstanceError, match=f"cannot assign to {name}: .*replace"):
                setattr(instruction, name, 0)
        assert instruction == built


@given(ARGUMENTS, NUMBERS["id"], NUMBERS["depends"])
def test_numbers_are_replaced_without_touching_the_rest(arguments: Arguments, id: int, depends: int) -> None:
    unit, values = arguments
    built = unit(**values)
    for instruction in (built, decoded(built)):
        numbered = instruction.numbered(id, depends)
        assert numbered == instruction.replace(id=id, depends=depends) == unit(**values | {"id": id, "depends": depends})
        assert (numbered.id, numbered.depends) == (id, depends)
        assert (instruction.id, instruction.depends) == (values["id"], values["depends"])
        assert numbered.numbered(values["id"], values["depends"]) == instruction


@given(ARGUMENTS)
def test_replacing_by_the_same_changes_nothing(arguments: Arguments) -> None:
    unit, values = arguments
    built = unit(**values)
    view = decoded(built)
    assert built.replace() == view.replace() == built
    assert view.replace(**values) == built.replace(**values) == built


def test_replace_takes_what_the_constructor_takes() -> None:
    assert ADD.replace(op=ArithOp.SUB) == Arith(op=ArithOp.SUB, dst=Z, src0=X, src1=Y, id=3, depends=2)
    with pytest.raises(TypeError, match="Arith has no source"):
        ADD.replace(source=X)


@given(st.integers(1, 0xFFFF), NUMBERS["id"])
def test_residue_survives_changes(left_over: int, id: int) -> None:
    view = decoded(ADD, opd0_n_str=left_over, intr_en=1)
    residue = {"intr_en": 1, "opd0_n_str": left_over}
    assert view.residue == residue and ADD.residue == {}
    changed = view.replace(op=ArithOp.MAX, id=id)
    for instruction in (view, view.numbered(id, 0), changed, changed.replace(src1=X), pickled(changed)):
        assert instruction.residue == residue
        bits = instruction.encoded(BM1684X)
        assert (bits["opd0_n_str"], bits["intr_en"]) == (left_over, 1)
        assert decoded(instruction).residue == residue


# ---- copies


@given(ARGUMENTS)
def test_copies_and_pickles(arguments: Arguments) -> None:
    unit, values = arguments
    fresh, encoded = unit(**values), unit(**values)
    view = decoded(encoded)
    for instruction in (fresh, encoded, view):
        assert copy.copy(instruction) is instruction and copy.deepcopy([instruction])[0] is instruction
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            back = pickled(instruction, protocol)
            assert back == instruction and hash(back) == hash(instruction) and type(back) is unit
            assert repr(back) == repr(instruction) and back.where == instruction.where
            assert encode(BM1684X, [back]) == encode(BM1684X, [fresh])
            with pytest.raises(FrozenInstanceError):
                back.id = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_a_command_that_operands_could_not_make_survives_pickling() -> None:
    """Strides that are switched off, of a copy between two shapes: the numbers remain, though nothing reads them."""
    view = decoded(LOAD, src_nstride=77, constant_value=0xDEAD)
    back = pickled(view)
    assert back == view and encode(BM1684X, [back]) == encode(BM1684X, [view]) != encode(BM1684X, [LOAD])


# ---- how it reads


def test_repr_names_what_is_not_default() -> None:
    assert repr(Sys(op=SysOp.NOP)) == "Sys(op=NOP)"
    assert repr(Sys(op=SysOp.END, id=4, depends=2)) == "Sys(id=4, depends=2, op=END)"
    text = repr(Arith(op=ArithOp.CAST, dst=Z, src0=LocalTensor(0, SHAPE, f16), rounding=Rounding.UP))
    assert text == f"Arith(op=CAST, dst={Z!r}, src0={LocalTensor(0, SHAPE, f16)!r}, rounding=UP)"


def test_repr_of_a_decoded_one_is_that_of_a_built_one() -> None:
    assert repr(decoded(ADD)) == repr(ADD)
    assert repr(decoded(ADD, intr_en=1)) == repr(ADD) + " with residue {'intr_en': 1}"


def test_where_names_the_command_as_far_as_it_is_known() -> None:
    assert ADD.where == "tiu command 3" and ADD.numbered(0, 0).where is None
    assert decoded(LOAD).where == "gdma command 3, offset 0"
    second = decode(BM1684X, "tiu", encode(BM1684X, [ADD, ADD]))[1]
    assert second.where == second.replace(op=ArithOp.SUB).where == "tiu command 3, offset 64"


# ---- what is refused


def test_unknown_and_missing_keywords() -> None:
    with pytest.raises(TypeError, match=r"Arith has no scr0, target; it has id, depends, op, dst, src0, src1, "):
        Arith(op=ArithOp.ADD, target=Z, scr0=X)  # pyright: ignore[reportCallIssue]
    for name in ("op", "dst", "src0"):
        values = {"op": ArithOp.ADD, "dst": Z, "src0": X, "src1": Y}
        del values[name]
        with pytest.raises(TypeError, match=f"Arith needs {name}"):
            Arith(**values)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        Arith(ArithOp.ADD, Z, X, Y)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("wrong", [2.0, 7, "x", np.zeros(4), (1, 64, 4, 16)], ids=lambda value: type(value).__name__)
def test_what_is_no_operand(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"src1 of Arith is .*, not a LocalTensor, SystemTensor or Constant; Constant\.of"):
        ADD.replace(src1=wrong)


@given(st.integers(1 << 16, 1 << 40) | st.integers(-(1 << 40), -1), st.integers(0, 3))
def test_sizes_that_do_not_fit_name_operand_number_and_limit(size: int, dimension: int) -> None:
    shape = tuple(size if index == dimension else 1 for index in range(4))
    tensor = LocalTensor(0, shape, f32)  # pyright: ignore[reportArgumentType]
    with pytest.raises(FieldRangeError) as caught:
        ADD.replace(dst=tensor, src0=tensor, src1=tensor).encoded(BM1684X)
    assert caught.value.message == f"dst of arith.add: {size} does not fit the 16 bits of res0_{'nchw'[dimension]}"
    assert caught.value.help == "keep it between 0 and 65535" and caught.value.where == "tiu command 3"


def test_ranges_of_attributes_are_told_as_the_user_counts() -> None:
    """DIV's field holds the iterations minus 1."""
    div = ADD.replace(op=ArithOp.DIV, iterations=9)
    with pytest.raises(FieldRangeError, match="iterations of arith.div: 9 does not fit the 3 bits") as caught:
        div.encoded(BM1684X)
    assert caught.value.help == "keep it between 1 and 8"
    assert decoded(div.replace(iterations=8)).attributes() == {"iterations": 8}


@pytest.mark.parametrize("number", [-1, 1 << 20])
def test_command_numbers_that_do_not_fit(number: int) -> None:
    for instruction in (ADD, decoded(ADD)):
        for name in ("id", "depends"):
            changed = instruction.numbered(**{"id": 1, "depends": 1, name: number})
            with pytest.raises(FieldRangeError, match=f"{name} of arith.add: {number} does not fit the 20 bits"):
                changed.encoded(BM1684X)


@pytest.mark.parametrize(
    ("instruction", "error", "texts"),
    [
        (ADD.replace(src1=LocalTensor(0, (1, 64, 4, 8), f32)), OperandConflictError, ["src1 of arith.add", "= 8", "dst asks for 16"]),
        (LOAD.replace(src=SystemTensor(DDR, SHAPE, f16)), OperandConflictError, ["src of dma.copy", "1 (f16)", "dst asks for 2 (f32)"]),
        (LOAD.replace(src=SystemTensor(DDR, SHAPE, f32, (4096, 64, 16, 1))), OperandConflictError, ["dst of dma.copy", "can only say"]),
        (LOAD.replace(one_shape=True, src=SystemTensor(DDR, (1, 64, 8, 8), f32)), OperandConflictError, ["dst", "src", "once"]),
        (ADD.replace(dst=LocalTensor(0, SHAPE, f32, pack=4)), OperandConflictError, ["dst of arith.add is", "pack=4", "can only say"]),
        (LOAD.replace(dst=LocalTensor(0, SHAPE, f32, pack=4)), OperandConflictError, ["dst of dma.copy is", "pack=4", "can only say"]),
        (ADD.replace(rounding=Rounding.UP), OperandKindError, ["arith.add has no rounding", "leave out rounding"]),
        (ADD.replace(op=ArithOp.CAST, src1=None), OperandKindError, ["arith.cast needs rounding", "give rounding"]),
        (ADD.replace(dst=None), OperandKindError, ["arith.add needs dst", "give dst"]),
        (ADD.replace(dst=Constant.of(1, f32)), OperandKindError, ["needs a tensor as dst, not a constant"]),
        (ADD.replace(src0=SystemTensor(DDR, SHAPE, f32)), OperandKindError, ["cannot have src0", "system memory", "DMA"]),
        (ADD.replace(dst=LocalTensor(0, SHAPE, f32, Layout.WEIGHT)), OperandLayoutError, ["dst of arith.add is WEIGHT", "FREE"]),
        (LOAD.replace(dst=LocalTensor(0, SHAPE, f32, Layout.COMPACT)), OperandLayoutError, ["dst of dma.copy is COMPACT", "strides"]),
        (
            ADD.replace(src2=LocalTensor(0, (1, 64, 4, 1), DTYPES["i8"], Layout.COMPACT), rounding=Rounding.UP),
            OperandShapeError,
            ["src2 of arith.add has shape (1, 64, 4, 1)", "its h must be 1"],
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_the_command_cannot_say(instruction: Instruction, error: type[Exception], texts: list[str]) -> None:
    with pytest.raises(error) as caught:
        instruction.encoded(BM1684X)
    message = str(caught.value)
    assert all(text in message for text in texts), message
    assert "help:" in message and f"at {instruction.where}" in message
    with pytest.raises(error):
        encode(BM1684X, [instruction])


def test_units_belong_to_chips() -> None:
    for instruction in (ADD, decoded(ADD)):
        with pytest.raises(ChipSupportError, match="BM1684 are not described"):
            instruction.encoded(BM1684)


def test_numbers_of_numpy_are_encoded_as_they_are() -> None:
    """They would overflow when shifted to the upper bits of a command."""
    n, c, h, w = np.array(SHAPE)
    tensor = LocalTensor(np.int64(0x200), (n, c, h, w), f32)  # pyright: ignore[reportArgumentType]
    built = ADD.replace(dst=tensor, id=np.uint8(3), depends=np.int16(2))
    assert built == ADD and encode(BM1684X, [built]) == encode(BM1684X, [ADD])


# ---- rules


def test_problems_say_where_the_command_is() -> None:
    wrong = ADD.replace(dst=LocalTensor(4, SHAPE, f32), src1=LocalTensor(BM1684X.lane_bytes, SHAPE, f32))
    assert ADD.problems(BM1684X) == []
    for instruction in (wrong, decoded(wrong)):
        problems = instruction.problems(BM1684X)
        assert {(problem.operand, problem.code) for problem in problems} == {("dst", "ISA121"), ("src1", "ISA123")}
        assert all(problem.where == instruction.where and problem.help and problem.rule for problem in problems)
        with pytest.raises(type(problems[0]), match="arith.add"):
            instruction.check(BM1684X)
