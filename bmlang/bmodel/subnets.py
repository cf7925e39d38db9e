"""Making a static stage of several subnets: commands of the TPU, and operators of the host between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import CmdGroup, CoeffMem, CpuParam, NetParameter, SubNet, Tensor
from bmlang.bmodel.stages import static_stage
from tpukernel.isa.program import Program

__all__ = ["HostSubnet", "TpuSubnet", "split_stage"]

_TPU, _BOTH = 1, 3
"""`Tensor.mem_type`: what the host touches is in device memory, too."""
_BETWEEN = 5
"""`Tensor.hidden` of what goes from subnet to subnet, as the official compiler writes it."""
_HOST = 1


@dataclass(frozen=True)
class TpuSubnet:
    """Command groups of a program.

    Attributes:
        groups: their numbers.
        inputs, outputs: what comes from other subnets or the caller, and goes there.
    """

    groups: range
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class HostSubnet:
    """An operator of the host.

    Attributes:
        operator, parameters: its number, and its parameters as they are in the file.
        inputs, outputs: its tensors in order; of constants, where they are among the coefficients.
    """

    operator: int
    parameters: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def split_stage(
    program: Program,
    subnets: Sequence[TpuSubnet | HostSubnet],
    *,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    ctx_addr: int,
    ctx_size: int,
    coeff: CoeffMem | None = None,
) -> NetParameter:
    """A static stage whose subnets run one after the other.

    Args:
        program: the commands of all subnets, with end commands in every group.
        subnets: the subnets in order, as they are found in official files: mode 0 with groups, mode 1 with one operator.
        inputs, outputs, ctx_addr, ctx_size, coeff: as of `static_stage`. What goes between subnets lies in the `ctx_size` bytes, too.

    Raises:
        FieldRangeError, LegalityError: as of `static_stage`.
    """
    whole = static_stage(program, inputs=inputs, outputs=outputs, ctx_addr=ctx_addr, ctx_size=ctx_size, coeff=coeff)
    hosted = {tensor.name for subnet in subnets if isinstance(subnet, HostSubnet) for tensor in (*subnet.inputs, *subnet.outputs)}
    known = {tensor.name: tensor for tensor in (*whole.input_tensor, *whole.output_tensor)}
    groups = whole.cmd_group or ()
    made: list[SubNet] = []
    for number, subnet in enumerate(subnets):
        ins, outs = (tuple(_between(tensor, known, hosted) for tensor in tensors) for tensors in (subnet.inputs, subnet.outputs))
        following = number + 1 if number + 1 < len(subnets) else -1
        new = SubNet(input_tensor=ins, output_tensor=outs, id=number, next_subnet_ids=(following,))
        if isinstance(subnet, HostSubnet):
            param = CpuParam(op_type=subnet.operator, binary_param=Binary(subnet.parameters), cpu_const=())
            made.append(replace(new, subnet_mode=_HOST, cpu_param=(param,)))
        else:
            made.append(replace(new, cmd_group=tuple(groups[group] for group in subnet.groups), run_core=1))
    return replace(whole, sub_net=tuple(made), cmd_group=_listed(made))


def _between(tensor: Tensor, known: Mapping[str, Tensor], hosted: set[str]) -> Tensor:
    """A tensor as a subnet lists it."""
    side = _BOTH if tensor.name in hosted else _TPU
    of_the_net = known.get(tensor.name)
    return replace(tensor, hidden=_BETWEEN, mem_type=side) if of_the_net is None else replace(of_the_net, mem_type=side)


def _listed(subnets: Sequence[SubNet]) -> tuple[CmdGroup, ...]:
    """The commands of all subnets, which a runtime loads at once."""
    return tuple(group for subnet in subnets for group in subnet.cmd_group or ())
