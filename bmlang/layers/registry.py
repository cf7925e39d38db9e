"""All layers by name: the built-in ones, those of installed packages, and those of the user's own program."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final, TypeVar

from bmlang.layers.base import Layer, Registered
from bmlang.layers.errors import LayerNameError, UnknownLayerError
from tpukernel.source import Position

__all__ = ["ENTRY_POINTS", "FAMILIES", "add", "all_layers", "failures", "forgotten", "layer_of", "register", "with_layers"]

ENTRY_POINTS: Final = "bmlang.layers"
"""Group of entry points with which packages bring layers: importing what it names registers them."""
FAMILIES: Final = (
    "a16matmul",
    "activations",
    "arg",
    "arrange",
    "cast",
    "compare",
    "conv",
    "conv3d",
    "cumulate",
    "conv_int",
    "coordinates",
    "elementwise",
    "elementwise_int",
    "elementwise_scaled",
    "gather",
    "grid",
    "logic",
    "lookup",
    "matmul",
    "matmul_int",
    "norm",
    "pool",
    "pool3d",
    "pool_index",
    "pool_int",
    "power",
    "preprocess",
    "quantise",
    "rearrange",
    "quantised",
    "reduce",
    "regions",
    "requant_int",
    "resize",
    "rope",
    "selection",
    "scatter",
    "shape",
    "softmax",
    "sorting",
    "yuv",
)
"""The modules with the built-in layers."""

_LAYERS: dict[str, Registered] = {}
_LOCAL: ContextVar[Mapping[str, Layer]] = ContextVar("_LOCAL", default=MappingProxyType({}))
_loaded: dict[str, Exception | None] = {}
"""Modules of installed packages, with the error where importing one failed."""
_L = TypeVar("_L", bound=Layer)


def register(kind: type[_L]) -> type[_L]:
    """Class decorator: make a layer known under its name.

    Raises:
        LayerNameError: the name is not `domain::name`, or another module has registered it.
    """
    add(kind(), kind.__module__)
    return kind


def add(layer: Layer, origin: str) -> None:
    """Make a layer known; the same module may register it again, as notebooks do."""
    domain, _, name = layer.name.partition("::")
    if not domain or not name.isidentifier():
        raise LayerNameError(f"a layer is called {layer.name!r}", help='give it a name like "acme::axpy"')
    known = _LAYERS.get(layer.name)
    if known is not None and known.origin != origin:
        raise LayerNameError(f"layer {layer.name} of {origin} is registered by {known.origin}", help="choose another domain")
    _LAYERS[layer.name] = Registered(layer, origin)


def layer_of(name: str, position: Position | None = None) -> Layer:
    """The layer of a name.

    Args:
        name: `domain::name`.
        position: where the user asks for it.

    Raises:
        UnknownLayerError: there is none.
    """
    if (local := _LOCAL.get().get(name)) is not None:
        return local
    found = _LAYERS.get(name) or all_layers().get(name)
    if found is None:
        near = get_close_matches(name, _LAYERS, 3, cutoff=0.8)
        advice = f"did you mean {' or '.join(near)}?" if near else "register it with bm.layer"
        for module, error in failures().items():
            advice += f"; {module}, which an installed package names, could not be imported: {error!r}"
        raise UnknownLayerError(f"there is no layer {name}", position=position, help=advice)
    return found.layer


@contextmanager
def with_layers(layers: Mapping[str, Layer]) -> Generator[None]:
    """Inside, these layers are the ones of their names: those that a file brings along."""
    token = _LOCAL.set({**_LOCAL.get(), **layers})
    try:
        yield
    finally:
        _LOCAL.reset(token)


@contextmanager
def forgotten() -> Generator[None]:
    """What is registered inside is unknown again afterwards: for programs and pages that share a process and the names of their layers."""
    all_layers()
    before = dict(_LAYERS)
    try:
        yield
    finally:
        _LAYERS.clear()
        _LAYERS.update(before)


def all_layers() -> Mapping[str, Registered]:
    """Every layer by name, with its origin, in order of the names. What installed packages name and cannot be imported is in `failures`."""
    for family in FAMILIES:
        import_module(f"bmlang.layers.{family}")
    for module in (entry.module for entry in entry_points(group=ENTRY_POINTS)):
        if module not in _loaded:
            _loaded[module] = None
            try:
                import_module(module)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other layers are there all the same
                _loaded[module] = error
    return dict(sorted(_LAYERS.items()))


def failures() -> Mapping[str, Exception]:
    """Modules that installed packages name (entry points `bmlang.layers`) and that could not be imported, with the error."""
    all_layers()
    return {module: error for module, error in _loaded.items() if error is not None}
