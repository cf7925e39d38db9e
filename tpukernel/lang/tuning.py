"""`@autotune`: keywords that are chosen by the cost model, for the shapes at hand.

A choice is kept on disk (`tpukernel.cache`) under the hash of everything that it depends on: the intermediate representation of each
candidate, the chip, and the source of this package, cost model included. So an edit of the kernel, or of a function that it calls, makes a
new choice, and nothing has to be emptied by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tpukernel.cache import default_cache
from tpukernel.chips.chip import Chip
from tpukernel.errors import TpuError
from tpukernel.isa.errors import LegalityError
from tpukernel.lang.errors import AssertionFailedError, LocalMemoryError, SearchSpaceError, TuningError
from tpukernel.lang.ir import KernelIr, Raw, walk
from tpukernel.lang.search import combinations, told
from tpukernel.lang.signature import Dtypes, Shapes

if TYPE_CHECKING:
    from tpukernel.lang.kernel import Kernel

__all__ = ["Tuning", "autotune", "key_of", "source_digest"]

UNFIT = (LocalMemoryError, AssertionFailedError, LegalityError)
"""Errors that say that a candidate does not fit the shapes: no memory, a condition of the author, a limit of the chip."""

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = ("chips", "isa", "api", "cost", "lang")
"""What decides how many cycles a kernel takes."""


class Tuning:
    """The keywords of a kernel among which the cost model chooses.

    Args:
        axes: values by the name of the keyword.
    """

    def __init__(self, axes: Mapping[str, Sequence[object]]) -> None:
        self.axes = {name: tuple(values) for name, values in axes.items()}
        combinations(self.axes)  # says now what is empty
        self._chosen: dict[object, Mapping[str, object]] = {}

    def __repr__(self) -> str:
        return f"autotune({', '.join(f'{name}={list(values)}' for name, values in self.axes.items())})"

    def chosen(self, kernel: Kernel, shapes: Shapes, dtypes: Dtypes, chip: Chip, keywords: Mapping[str, object]) -> Mapping[str, object]:
        """The keywords with which a kernel takes the fewest cycles, with those that were given; the first ones of several equal.

        Args:
            kernel: the kernel, without tuning.
            shapes, dtypes, chip: as of `Kernel.elaborate`.
            keywords: what the caller gave; those are not chosen.

        Raises:
            TuningError: no candidate fits the shapes.
            KernelError, TpuError: a candidate has a mistake, or the call.
        """
        types = tuple(sorted((name, str(dtype)) for name, dtype in dtypes.items())) if isinstance(dtypes, Mapping) else str(dtypes)
        sizes = tuple((name, tuple(shape)) for name, shape in shapes.items())
        given = tuple((name, type(value), value) for name, value in keywords.items())
        key = (chip.name, sizes, types, given)
        if key not in self._chosen:
            axes = {name: values for name, values in self.axes.items() if name not in keywords}
            self._chosen[key] = keywords if not axes else self._choose(kernel, shapes, dtypes, chip, keywords, axes)
        return self._chosen[key]

    def _choose(
        self,
        kernel: Kernel,
        shapes: Shapes,
        dtypes: Dtypes,
        chip: Chip,
        keywords: Mapping[str, object],
        axes: Mapping[str, Sequence[object]],
    ) -> Mapping[str, object]:
        candidates = [{**keywords, **some} for some in combinations(axes)]
        traced = [_traced(kernel, shapes, dtypes, chip, candidate) for candidate in candidates]
        key = key_of(traced, chip)
        kept = _kept(key, len(candidates))
        if kept is not None:
            return candidates[kept]
        costs: list[tuple[int, int]] = []
        errors: list[str] = []
        for number, (candidate, found) in enumerate(zip(candidates, traced, strict=True)):
            try:
                if not isinstance(found, KernelIr):
                    raise found
                costs.append((kernel.timeline(shapes, dtypes, chip, mode="peer", **candidate).cycles, number))
            except UNFIT as error:
                some = ", ".join(f"{name}={told(candidate[name])}" for name in axes)
                errors.append(f"     | {some}: {error.code}: {error.message.splitlines()[0].rstrip(':')}")
        if not costs:
            raise TuningError(
                f"kernel {kernel.signature.name} fits these shapes with none of its {len(candidates)} choices:\n" + "\n".join(errors),
                position=kernel.signature.position,
                help="let autotune try smaller tiles too",
            )
        _, best = min(costs)
        if key is not None:
            default_cache().put(key, json.dumps({"candidate": best}).encode())
        return candidates[best]


def _traced(kernel: Kernel, shapes: Shapes, dtypes: Dtypes, chip: Chip, keywords: Mapping[str, object]) -> KernelIr | TpuError:
    try:
        return kernel.ir(shapes, dtypes, chip, rank=4, **keywords)
    except UNFIT as error:
        return error


# ---------------------------------------------------------------------------- keeping


def key_of(candidates: Sequence[KernelIr | TpuError], chip: Chip) -> str | None:
    """The hash of everything that decides; None when the source of this package cannot be read."""
    source = source_digest()
    if source is None:
        return None
    found = hashlib.sha256(f"tuning {source} {chip.name}".encode())
    for candidate in candidates:
        found.update(b"\0" + (_fingerprint(candidate, chip) if isinstance(candidate, KernelIr) else str(candidate)).encode())
    return found.hexdigest()


def _fingerprint(ir: KernelIr, chip: Chip) -> str:
    """The text of a kernel, and the bits of the commands in it that its author encoded, which the text only names."""
    raw = [instruction.encoded(chip).record for each in walk(ir.body) if isinstance(each, Raw) for instruction in each.instructions]
    return f"{ir} {raw}"


@once
def source_digest() -> str | None:
    """The hash of the source of everything that turns a kernel into cycles; None where it is not there as files."""
    files = sorted(path for folder in _FOLDERS for path in (_PACKAGE / folder).rglob("*.py"))
    try:
        return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest() if files else None
    except OSError:
        return None


def _kept(key: str | None, count: int) -> int | None:
    """What the cache has for a key, if it is a number of a candidate."""
    data = None if key is None else default_cache().get(key)
    if data is None:
        return None
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    number = cast("Mapping[str, object]", found).get("candidate") if isinstance(found, dict) else None
    return number if isinstance(number, int) and 0 <= number < count else None


# ---------------------------------------------------------------------------- decorator


def autotune(**axes: Sequence[object]) -> Callable[[Kernel], Kernel]:
    """Decorator above `@kernel`: of these keywords, what takes the fewest cycles for the shapes at hand is chosen.

    Every method of the kernel (calls, `program`, `timeline`, ...) uses the choice; a keyword that the caller gives is not chosen. What does
    not fit the shapes, because of memory, a condition of the author or a limit of the chip, is passed over; other errors are raised.
    `Kernel.tuned` tells what was chosen, `sweep` what each takes. As a part of another kernel (`emit`), and for `ir` without shapes, the
    kernel has its defaults.

    Args:
        axes: values to try by the name of the keyword.

    Raises:
        SearchSpaceError: a list is empty, the kernel has no such keyword, or what is decorated is no kernel.
    """
    tuning = Tuning(axes)

    def decorated(kernel: Kernel) -> Kernel:
        known: object = getattr(getattr(kernel, "signature", None), "defaults", None)
        if not isinstance(known, Mapping):
            raise SearchSpaceError(f"autotune needs a kernel, not {kernel!r}", help="write @autotune(...) in the line above @kernel")
        unknown = [name for name in axes if name not in known]
        if unknown:
            told_keywords = ", ".join(cast("Mapping[str, object]", known)) or "none"
            raise SearchSpaceError(
                f"kernel {kernel.signature.name} has no keyword {', '.join(unknown)}",
                position=kernel.signature.position,
                help=f"its keywords are: {told_keywords}",
            )
        return kernel.with_tuning(tuning)

    return decorated
