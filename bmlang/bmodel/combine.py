"""Combining BModels into one and taking them apart again.

Nets of different names stand side by side, nets of the same name become stages of one net. What a runtime could not tell apart or would
run wrongly is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from bmlang.bmodel.build import stamped
from bmlang.bmodel.container import BModel
from bmlang.bmodel.errors import ChipMismatchError, NetConflictError, StageShapeError
from bmlang.bmodel.fields import Binary, Table, plan_of, walk
from bmlang.bmodel.schema import KernelModule, Model, Net, NetParameter, Tensor
from bmlang.bmodel.writer import refuse_unknown

__all__ = ["KERNEL_MODES", "Combined", "Source", "combine", "extract", "kernel_mode"]

KERNEL_MODES: Final[dict[int, str]] = {0: "normal", 1: "rvti"}
"""Modes of the kernel module. An official tool leaves other numbers, which mean nothing."""


def kernel_mode(module: KernelModule | None) -> int:
    """The mode of a kernel module, 0 for a number without a meaning."""
    return module.mode if module is not None and module.mode in KERNEL_MODES else 0


@dataclass(frozen=True)
class Source:
    """A BModel with the name that messages use for it."""

    name: str
    bmodel: BModel

    @property
    def model(self) -> Model:
        """The root table."""
        return self.bmodel.model


@dataclass(frozen=True)
class Combined:
    """What `combine` makes.

    Attributes:
        bmodel: the new file.
        places: for each source its stages, in order, as (net, stage) numbers of the new file.
        notes: what of the sources is not in the new file, one sentence each.
    """

    bmodel: BModel
    places: tuple[tuple[tuple[int, int], ...], ...]
    notes: tuple[str, ...]


@dataclass
class _Net:
    """A net that is being put together; `origins` says which source each stage came from."""

    net: Net
    stages: list[NetParameter] = field(default_factory=list[NetParameter])
    origins: list[str] = field(default_factory=list[str])


def combine(sources: Sequence[Source]) -> Combined:
    """One BModel of several. The nets are in the order in which their names first appear, the stages in the order of the sources.

    The kernel module, the library of host operators and the backend library are the first that a source has; a different one of a later
    source is named in `notes`.

    Raises:
        ChipMismatchError: the sources are for different chips, or need different modes of the kernel module.
        NetConflictError: nets of the same name cannot be stages of one net.
        StageShapeError: a net would have two stages with the same input shapes.
        UnknownFieldError: a source has fields of a newer schema.
    """
    if not sources:
        raise ValueError("there is nothing to combine")
    for source in sources:
        for path, table in (("Model", source.model), *walk(source.model, Table)):
            refuse_unknown(table, f"{source.name}: {path}")
    _check_chips(sources)
    nets: dict[str, _Net] = {}
    places = [tuple(place for net in source.model.net for place in _add(nets, net, source.name)) for source in sources]
    notes: list[str] = []
    first = sources[0].model
    model = replace(
        first,
        net=tuple(replace(one.net, parameter=tuple(one.stages)) for one in nets.values()),
        kernel_module=_kernel_module(sources, notes),
        cpuop_module=_first(sources, "cpuop_module", _cpuop_binary, notes).cpuop_module,
        lib_backend=_first(sources, "lib_backend", lambda model: _full(model.lib_backend), notes).lib_backend,
        device_num=max(source.model.device_num for source in sources),
        bmodel_type=_bmodel_type(sources, nets),
    )
    return Combined(BModel(_relaid(stamped(model))), tuple(places), tuple(notes))


def extract(bmodel: BModel) -> Iterator[tuple[int, int, BModel]]:
    """Each stage of each net as a BModel of its own, with its net and stage number.

    Everything that belongs to it is kept: address mode, cascade, kernel module, libraries, number of devices.
    """
    for k, net in enumerate(bmodel.model.net):
        for j, stage in enumerate(net.stages):
            single = replace(bmodel.model, net=(replace(net, parameter=(stage,)),))
            yield k, j, BModel(stamped(single))


# ------------------------------------------------------------------ nets and stages


def _add(nets: dict[str, _Net], net: Net, origin: str) -> Iterator[tuple[int, int]]:
    """Adds the stages of a net; yields their (net, stage) numbers."""
    known = nets.setdefault(net.name, _Net(net))
    number = list(nets).index(net.name)
    for stage in net.stages:
        for other, other_origin in zip(known.stages, known.origins, strict=True):
            _check_stages(_Pair(net.name, (known.net, other, other_origin), (net, stage, origin)))
        known.stages.append(stage)
        known.origins.append(origin)
        yield number, len(known.stages) - 1


@dataclass(frozen=True)
class _Pair:
    """Two stages that shall belong to one net, each with its net and origin."""

    name: str
    first: tuple[Net, NetParameter, str]
    second: tuple[Net, NetParameter, str]


def _tensors(names: str) -> Callable[[Net, NetParameter], object]:
    """What the inputs, or the outputs, of all stages have in common."""

    def common(_: Net, stage: NetParameter) -> object:
        tensors: tuple[Tensor, ...] = getattr(stage, names)
        if names == "output_tensor":
            return [tensor.name for tensor in tensors]
        return [(tensor.name, tensor.data_type, tensor.scale, tensor.zero_point, len(tensor.shape or ())) for tensor in tensors]

    return common


_EQUAL: Final[tuple[tuple[str, Callable[[Net, NetParameter], object]], ...]] = (
    ("the address mode", lambda net, stage: net.addr_mode),
    ("static or dynamic", lambda net, stage: "dynamic" if stage.is_dynamic else "static"),
    ("the inputs (name, type, scale, zero point, number of shapes)", _tensors("input_tensor")),
    ("the sizes that may vary (n_dynamic, h_w_dynamic)", lambda net, stage: (stage.n_dynamic, stage.h_w_dynamic)),
    ("the names of the outputs", _tensors("output_tensor")),
    ("one or several subnets", lambda net, stage: "several" if len(stage.subnets) > 1 else "one"),
)
"""What stages of one net must have in common."""


def _check_stages(pair: _Pair) -> None:
    (net, stage, origin), (other_net, other, other_origin) = pair.first, pair.second
    where = f"net {pair.name!r} of {origin} and {other_origin}"
    if net.cascade or other_net.cascade:
        raise NetConflictError(
            "a net that is spread over devices can have one stage only", where=where, help="give the nets different names"
        )
    for what, of in _EQUAL:
        if of(net, stage) != of(other_net, other):
            raise NetConflictError(
                f"stages of one net must agree in {what}: {of(net, stage)} and {of(other_net, other)}",
                where=where,
                help="compile them alike, or give the nets different names",
            )
    if _shapes(stage) == _shapes(other):
        raise StageShapeError(
            f"two stages would have the same input shapes {_shapes(stage)}, and no run could choose between them",
            where=where,
            help="leave one of them out, or give the nets different names",
        )


def _shapes(stage: NetParameter) -> list[list[tuple[int, ...]]]:
    return [[shape.dim or () for shape in tensor.shape or ()] for tensor in stage.input_tensor]


# ------------------------------------------------------------------ the rest of the model


def _check_chips(sources: Sequence[Source]) -> None:
    for source in sources:
        if source.model.chip != sources[0].model.chip:
            raise ChipMismatchError(
                f"{sources[0].name} is for {sources[0].model.chip}, {source.name} for {source.model.chip}",
                help="a file has one chip: combine the files of each chip on their own",
            )


def _kernel_module(sources: Sequence[Source], notes: list[str]) -> KernelModule | None:
    having = [source for source in sources if _kernel_binary(source.model)]
    for source in having[1:]:
        modes = [KERNEL_MODES[kernel_mode(one.model.kernel_module)] for one in (having[0], source)]
        if modes[0] != modes[1]:
            raise ChipMismatchError(
                f"the kernel module of {having[0].name} has mode {modes[0]}, that of {source.name} mode {modes[1]}",
                help="update one of them with --kernel_update",
            )
    module = _first(sources, "kernel_module", _kernel_binary, notes).kernel_module
    return None if module is None else replace(module, mode=kernel_mode(module))


def _kernel_binary(model: Model) -> Binary | None:
    return _full(model.kernel_module.binary if model.kernel_module else None)


def _cpuop_binary(model: Model) -> Binary | None:
    return _full(model.cpuop_module.binary if model.cpuop_module else None)


def _full(binary: Binary | None) -> Binary | None:
    return binary if binary and binary.size else None


def _first(sources: Sequence[Source], name: str, binary_of: Callable[[Model], Binary | None], notes: list[str]) -> Model:
    """The first model that has something, or that has at least a place for it; the others with something else are noted."""
    having = [source for source in sources if binary_of(source.model)]
    notes.extend(
        f"the {name} of {source.name} is another one; that of {having[0].name} is used for all nets"
        for source in having[1:]
        if binary_of(source.model) != binary_of(having[0].model)
    )
    models = [source.model for source in having or sources]
    return next((model for model in models if getattr(model, name) is not None), models[0])


def _bmodel_type(sources: Sequence[Source], nets: dict[str, _Net]) -> int:
    """1 as long as all nets have the same joined coefficients."""
    coeffs = [stage.coeff_mem for one in nets.values() for stage in one.stages]
    joined = all(source.model.bmodel_type == 1 for source in sources)
    return int(joined and all(coeff == coeffs[0] for coeff in coeffs))


T = TypeVar("T", bound=Table)


def _relaid(table: T) -> T:
    """The table with binaries that come from no file, so that they are laid out in the order of the tables and not of their old places."""
    changes: dict[str, object] = {}
    for one in plan_of(type(table)).fields:
        value = getattr(table, one.name)
        if value is not None and one.wire in ("binary", "table"):
            changes[one.name] = tuple(_moved(item) for item in value) if one.vector else _moved(value)
    return replace(table, **changes)


def _moved(value: Binary | Table) -> Binary | Table:
    return replace(value, start=None) if isinstance(value, Binary) else _relaid(value)
