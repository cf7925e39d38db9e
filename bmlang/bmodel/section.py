"""The binary section: where each binary of a model goes. Equal binaries are stored once; each starts on a 4 KiB boundary."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bmlang.bmodel.fields import Binary, walk
from bmlang.bmodel.schema import Model

__all__ = ["ALIGNMENT", "Section", "align", "sha256"]

ALIGNMENT = 4096
"""What the start of each binary and of the section itself is a multiple of, as in the files of the official compiler."""


def align(size: int) -> int:
    """The next multiple of `ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def sha256(data: bytes | memoryview) -> bytes:
    """SHA-256, which is what check codes are (32 bytes)."""
    return hashlib.sha256(data).digest()


@dataclass(frozen=True, slots=True)
class Section:
    """A binary section that is ready to be written.

    Attributes:
        places: start and size by the identity of the `Binary`.
        parts: start and bytes of what is stored, ascending.
        size: bytes of the whole section, filling included.
    """

    places: dict[int, tuple[int, int]]
    parts: list[tuple[int, bytes | memoryview]]
    size: int

    @classmethod
    def of(cls, model: Model) -> Section:
        """Lays the binaries of a model out: those of a file in the order of their old places, then new ones in the order of the tables.

        So a file that was read and is written again has its binaries where they were. An empty one stays where it is if it can.
        """
        found = [binary for _, binary in walk(model, Binary)]
        full = [binary for binary in found if binary.size]
        full.sort(key=lambda binary: (binary.start is None, binary.start or 0))
        stored = _Stored(binary.size for binary in full)
        places: dict[int, tuple[int, int]] = {}
        parts: list[tuple[int, bytes | memoryview]] = []
        end = 0
        for binary in full:
            start = stored.find(binary)
            if start is None:
                start = end
                parts.append((start, binary.data))
                end = align(start + binary.size)
                stored.add(binary, start)
            places[id(binary)] = (start, binary.size)
        for binary in found:
            if not binary.size:
                kept = binary.start is not None and binary.start <= end
                places[id(binary)] = (binary.start or 0 if kept else 0, 0)
        return cls(places, parts, end)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes of the section, in pieces."""
        position = 0
        for start, data in self.parts:
            yield bytes(start - position)
            yield data
            position = start + len(data)
        yield bytes(self.size - position)


class _Stored:
    """Finds equal binaries; only where there is another one of the same size does it look at the bytes."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._several = {size for size, count in Counter(sizes).items() if count > 1}
        self._starts: dict[tuple[int, bytes], int] = {}

    def find(self, binary: Binary) -> int | None:
        """Where the same bytes are stored already."""
        return self._starts.get(self._key(binary)) if binary.size in self._several else None

    def add(self, binary: Binary, start: int) -> None:
        """Remember a stored binary."""
        if binary.size in self._several:
            self._starts[self._key(binary)] = start

    def _key(self, binary: Binary) -> tuple[int, bytes]:
        return binary.size, sha256(binary.data)
