"""Regenerates the recorded fixtures of ``tests/data``; not needed to run the tests.

    python -m tests.support.make_fixtures golden RECORDING_FOLDER
    python -m tests.support.make_fixtures streams FOLDER_WITH_BMODELS...
    python -m tests.support.make_fixtures fields TEMPLATES.json

``golden`` packs a recording of official BM1684X cases (``index.json``, one ``.npz`` per case, ``static_bm1684x.npz``) into
``golden_bm1684x/``. ``streams`` extracts the command streams of all static BM1684X files below the folders into
``streams_bm1684x.npz``. ``fields`` takes the variable fields from a table of constant and variable fields per TPUKernel function
and writes ``variable_fields_bm1684x.json``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.bmodel_streams import command_groups
from tests.support.golden import ENGINES, FOLDER, PHASES, SPACES

CHIP = "bm1684x"
STREAMS_FILE = FOLDER.parent / "streams_bm1684x.npz"
FIELDS_FILE = FOLDER.parent / "variable_fields_bm1684x.json"
DOC = {
    "streams": "streams.npz: <engine> concatenates all streams, <engine>_len their lengths in the order of the cases. "
    "TIU: short instructions (16 to 64 bytes by type) in a row; GDMA: 96-byte commands; an end command has 16 bytes and zero padding.",
    "memory": "memory.npz: per case <in|out>_<space>_count runs, per run _start and _len, and _data, the concatenated bytes. "
    "Before: fill byte, then the in runs. After: the same with the out runs on top; no other byte changes.",
    "spaces": "lmem: lane * 262144 + byte, 64 lanes, fill 0xA7; ddr: offset from 0x100000000, fill 0; l2: offset from 0x10000000, fill 0",
    "params": "names as in the header; local addresses are lane * 262144 + byte; dim4 = [n, c, h, w], strides in elements, null = NULL; "
    "dtypes are data_type_t codes; scalar_t as raw uint32; variable_t as {const: raw} or {addr: local}",
    "tensors": "rows of [name, space, addr, shape, dtype, layout, role]",
    "instructions": "rows of [engine, name, subop, non-zero fields]; zero padding after an end command may appear as a command with id 0",
    "prelude": "calls made before the initial memory image was taken",
    "execution": "denormal f32 operands and results are flushed (FTZ and DAZ); instructions run in program order",
}
TENSOR_FIELDS = ("name", "space", "addr", "shape", "dtype", "layout", "role")


def _instruction(entry: Mapping[str, Any]) -> list[Any]:
    fields = entry.get("fields", {key: entry[key] for key in ("cmd_id", "cmd_id_dep") if key in entry})
    return [entry["engine"], entry["name"], entry.get("subop"), fields]


def _case(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("id", "function", "params", "dtypes")}
    kept |= {key: entry[key] for key in ("calls", "end_command", "raw_instruction") if entry.get(key)}
    if "prelude" in entry:
        kept["prelude"] = [[call["function"], call["args"]] for call in entry["prelude"]]
    kept["tensors"] = [[tensor[key] for key in TENSOR_FIELDS] for tensor in entry["tensors"]]
    kept["instructions"] = [_instruction(instruction) for instruction in entry["instructions"]]
    return kept


def _packed(chunks: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([np.zeros(0, np.uint8), *chunks])


def pack_golden(recording: Path) -> None:
    """Write index.json, streams.npz, memory.npz and static.npz from a recording with one file per case."""
    index = json.loads((recording / "index.json").read_text(encoding="utf-8"))
    entries = [entry for entry in index["cases"] if entry["chip"] == CHIP]
    files: list[dict[str, NDArray[Any]]] = []
    for entry in entries:
        with np.load(recording / entry["file"], allow_pickle=False) as file:
            files.append({key: file[key] for key in file.files})
    streams: dict[str, NDArray[Any]] = {}
    for engine in ENGINES:
        parts = [file.get(engine, np.zeros(0, np.uint8)) for file in files]
        streams |= {engine: _packed(parts), f"{engine}_len": np.array([len(part) for part in parts], np.uint32)}
    memory: dict[str, NDArray[Any]] = {}
    for key in (f"{phase}_{space}" for phase in PHASES for space in SPACES):
        present = [file for file in files if f"{key}_start" in file]
        memory[f"{key}_count"] = np.array([len(file.get(f"{key}_start", ())) for file in files], np.uint32)
        for suffix in ("start", "len"):
            memory[f"{key}_{suffix}"] = np.concatenate([np.zeros(0, np.uint32), *(file[f"{key}_{suffix}"] for file in present)])
        memory[f"{key}_data"] = _packed(file[f"{key}_data"] for file in present)
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(FOLDER / "streams.npz", allow_pickle=False, **streams)
    np.savez_compressed(FOLDER / "memory.npz", allow_pickle=False, **memory)
    with np.load(recording / "static_bm1684x.npz", allow_pickle=False) as file:
        np.savez_compressed(FOLDER / "static.npz", smem=file["smem"])
    lines = ",\n".join(json.dumps(_case(entry), ensure_ascii=False, separators=(",", ":")) for entry in entries)
    text = f'{{"doc": {json.dumps(DOC, ensure_ascii=False, indent=1)},\n"cases": [\n{lines}\n]}}\n'
    (FOLDER / "index.json").write_text(text, encoding="utf-8")


def _stream_rows(folders: Iterable[Path]) -> Iterator[tuple[str, bytes, int]]:
    for path in sorted((path for folder in folders for path in folder.rglob("*.bmodel")), key=lambda path: path.name):
        for group in command_groups(path):
            if group.chip.lower() == CHIP:
                name = f"{path.stem}/{group.net}/{group.stage}/{group.group}"
                yield f"{name}/tiu", group.tiu, group.tiu_commands
                yield f"{name}/gdma", group.gdma, group.gdma_commands


def pack_streams(folders: Iterable[Path]) -> None:
    """Write streams_bm1684x.npz: equal streams are stored once, ``entry`` maps each key to its stream."""
    rows = list(_stream_rows(folders))
    if len({key for key, _, _ in rows}) != len(rows):
        raise SystemExit("two files of the same name contain streams")
    unique = {data: k for k, data in enumerate(dict.fromkeys(data for _, data, _ in rows))}
    np.savez_compressed(
        STREAMS_FILE,
        keys=np.array([key for key, _, _ in rows]),
        commands=np.array([count for _, _, count in rows], np.uint32),
        entry=np.array([unique[data] for _, data, _ in rows], np.uint32),
        len=np.array([len(data) for data in unique], np.uint32),
        data=_packed(np.frombuffer(data, np.uint8) for data in unique),
    )


def _command_name(instruction: str) -> str:
    """Name in the package's field tables: without the mark of the short TIU forms."""
    return instruction if instruction.startswith("DMA") else instruction.removeprefix("s").replace("&s", "&")


def _field_name(field: str) -> str:
    """Name in the package's field tables: without additions in brackets, and with the halves of matrix addresses called what they are."""
    return re.sub(r"[(\uff08].*", "", field).replace("addr_h32", "addr_l32").replace("addr_l8", "addr_h8")


def pack_fields(templates: Path) -> None:
    """Write variable_fields_bm1684x.json: which fields of each instruction of each function depend on the arguments."""
    table: dict[str, Any] = json.loads(templates.read_text(encoding="utf-8"))
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for function, entry in table.items():
        if function == "_doc" or "instructions" not in entry:  # functions whose number of commands depends on the arguments
            continue
        for position, instruction in enumerate(entry["instructions"]):
            fields = tuple(sorted(map(_field_name, instruction["var"])))
            if fields:
                groups.setdefault((_command_name(instruction["instr"]), fields), []).append(f"{function}:{position}")
    rows = [{"command": command, "fields": " ".join(fields), "at": " ".join(places)} for (command, fields), places in groups.items()]
    doc = "Fields that depend on the arguments of a call, by command; at: function:position of the command in its stream."
    lines = ",\n".join(json.dumps(row) for row in rows)
    FIELDS_FILE.write_text(f'{{"doc": {json.dumps(doc)},\n"groups": [\n{lines}\n]}}\n', encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("golden", "streams", "fields"))
    parser.add_argument("sources", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    match options.what:
        case "golden":
            pack_golden(options.sources[0])
        case "streams":
            pack_streams(options.sources)
        case _:
            pack_fields(options.sources[0])
    for path in sorted(path for path in FOLDER.parent.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:9d} {path.relative_to(FOLDER.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
