"""Official command streams: every static BM1684X command group of the recorded BModel files (``tests/data/streams_bm1684x.npz``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "data" / "streams_bm1684x.npz"


@dataclass(frozen=True)
class OfficialStream:
    """One engine's stream of a command group. ``commands`` is the number the file states, end command included."""

    key: str
    engine: str
    data: bytes
    commands: int


@cache
def official_streams() -> dict[str, OfficialStream]:
    """Streams by key ``<file stem>/<net>/<stage>/<group>/<engine>``."""
    with np.load(FILE, allow_pickle=False) as file:
        keys, commands, entry = ([*map(kind, file[name])] for name, kind in (("keys", str), ("commands", int), ("entry", int)))
        stops = [0, *np.cumsum(file["len"].astype(np.int64)).tolist()]
        data = file["data"].tobytes()
    unique = [data[start:stop] for start, stop in pairwise(stops)]
    return {
        str(key): OfficialStream(str(key), str(key).rpartition("/")[2], unique[int(index)], int(count))
        for key, index, count in zip(keys, entry, commands, strict=True)
    }
