"""`tpukernel doctor`: what an installation consists of, for reports and first aid."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tpukernel import __version__
from tpukernel.cache import Cache, default_folder

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]

_DEPENDENCIES = ("numpy", "ml_dtypes", "lark", "llvmlite", "flatbuffers", "rich", "platformdirs")
_FRAMEWORKS = ("onnx", "onnxruntime", "torch", "tpu_mlir")
_FEATURES = ("sse4.2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vnni", "avx512fp16", "neon", "fullfp16", "dotprod")
_LIBRARY = "libcmodel*.so"


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser("doctor", help="show versions, processor, cache and official libraries")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    report = {"versions": _versions(), "processor": _processor(), "cache": _cache(), "official libraries": _official()}
    if arguments.json:
        return json.dumps(report, indent=1)
    lines: list[str] = []
    for title, entries in report.items():
        lines += [title, *(f"  {name:<16} {value}" for name, value in entries.items())]
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> dict[str, str]:
    found = {"tpukernel": __version__, "python": platform.python_version(), "system": platform.platform()}
    found |= {name: _version(name) or "MISSING" for name in _DEPENDENCIES}
    return found | {name: version for name in _FRAMEWORKS if (version := _version(name))}


def _processor() -> dict[str, str]:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return {"machine": platform.machine(), **_model(), "cores": str(cores)}


def _model() -> dict[str, str]:
    try:
        import llvmlite.binding as llvm
    except ImportError:  # a broken installation is what this command is for
        return {"model": "unknown without llvmlite"}
    features: dict[str, bool] = dict(llvm.get_host_cpu_features())
    return {
        "model": str(llvm.get_host_cpu_name()),
        "features": ", ".join(name for name in _FEATURES if features.get(name)) or "baseline",
    }


def _cache() -> dict[str, str]:
    try:
        cache = Cache(default_folder())
    except ImportError:
        return {"folder": "unknown without platformdirs"}
    entries = cache.entries()
    return {"folder": str(cache.folder or "none"), "files": str(len(entries)), "bytes": str(sum(entry.size for entry in entries))}


def _official() -> dict[str, str]:
    """The folders in which Sophgo's emulator can be: its Python package, its installation, the folder named by TPU_ORACLE_DIR."""
    folders: dict[str, Path | None] = {"tpu_mlir": None, "libsophon": Path("/opt/sophon/libsophon-current/lib"), "TPU_ORACLE_DIR": None}
    package = importlib.util.find_spec("tpu_mlir")
    if package is not None and package.origin is not None:
        folders["tpu_mlir"] = Path(package.origin).parent / "lib"
    if os.environ.get("TPU_ORACLE_DIR"):
        folders["TPU_ORACLE_DIR"] = Path(os.environ["TPU_ORACLE_DIR"])
    return {name: _libraries(folder) for name, folder in folders.items()}


def _libraries(folder: Path | None) -> str:
    found = sorted(folder.rglob(_LIBRARY)) if folder is not None and folder.is_dir() else []
    return f"{len(found)} emulator libraries in {folder}" if found else "none"
