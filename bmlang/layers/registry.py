"""All layers by name: the built-in ones, those of installed packages, and those of the user's own program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final, TypeVar

from bmlang.layers.base import Layer, Registered
from bmlang.layers.errors import LayerNameError, UnknownLayerError
from tpukernel.source import Position

__all__ = ["ENTRY_POINTS", "all_layers", "layer_of", "register"]

ENTRY_POINTS: Final = "bmlang.layers"
"""Group of entry points with which packages bring layers: importing what it names registers them."""
FAMILIES: Final = (
    "activations",
    "arrange",
    "cast",
    "compare",
    "conv",
    "elementwise",
    "matmul",
    "norm",
    "pool",
    "reduce",
    "shape",
    "softmax",
)
"""The modules with the built-in layers."""

_LAYERS: dict[str, Registered] = {}
_loaded: set[str] = set()
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
    found = _LAYERS.get(name) or all_layers().get(name)
    if found is None:
        near = get_close_matches(name, _LAYERS, 3, cutoff=0.8)
        raise UnknownLayerError(
            f"there is no layer {name}",
            position=position,
            help=f"did you mean {' or '.join(near)}?" if near else "register it with bm.layer",
        )
    return found.layer


def all_layers() -> Mapping[str, Registered]:
    """Every layer by name, with its origin, in order of the names."""
    for module in _modules():
        if module not in _loaded:
            _loaded.add(module)
            import_module(module)
    return dict(sorted(_LAYERS.items()))


def _modules() -> Iterator[str]:
    yield from (f"bmlang.layers.{family}" for family in FAMILIES)
    yield from (entry.module for entry in entry_points(group=ENTRY_POINTS))
