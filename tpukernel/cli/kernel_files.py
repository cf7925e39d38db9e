"""Kernels of files: `FILE` or `FILE:KERNEL`.

A Python file is imported, which executes it: it is the user's own. What stands under `if __name__ == "__main__":` does not run. A file of
kernels as text (`.tpuk`) is only read.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TYPE_CHECKING, Final

from tpukernel.cli.errors import KernelChoiceError, KernelFileError
from tpukernel.errors import TpuError
from tpukernel.source import Position

if TYPE_CHECKING:
    from tpukernel.lang import Kernel

__all__ = ["chosen_kernels", "is_kernel_file", "kernel_of", "kernels_in", "users_errors"]

_PACKAGE = Path(__file__).resolve().parents[1]


def is_kernel_file(named: str) -> bool:
    """Whether `FILE[:KERNEL]` names a file whose ending says that it holds kernels."""
    return _split(named)[0].suffix in _LOADERS


def kernel_of(named: str) -> Kernel:
    """The kernel that `FILE:KERNEL` names, or the only one of `FILE`.

    Raises:
        KernelFileError: the file cannot be loaded.
        KernelChoiceError: there is no such kernel, or several to choose from.
        TpuError: a kernel in it cannot be one.
        OSError: the file cannot be read.
    """
    path, found = chosen_kernels(named)
    if len(found) > 1:
        known = ", ".join(found)
        raise KernelChoiceError(f"{path} holds {len(found)} kernels", help=f"choose one, as in {path}:{next(iter(found))}; it has {known}")
    return next(iter(found.values()))


def chosen_kernels(named: str) -> tuple[Path, Mapping[str, Kernel]]:
    """The file and the kernel that `FILE:KERNEL` names, or all kernels of `FILE`, by name; one or more.

    Raises:
        KernelFileError, KernelChoiceError, TpuError, OSError: as `kernel_of`.
    """
    path, name = _split(named)
    found = kernels_in(path)
    if not found:
        raise KernelChoiceError(f"{path} holds no kernel", help="decorate a function with @tpukernel.kernel, or write one as text")
    if name and name not in found:
        raise KernelChoiceError(f"{path} holds no kernel {name}", help=f"it has {', '.join(found)}")
    return path, {name: found[name]} if name else found


def kernels_in(path: Path) -> Mapping[str, Kernel]:
    """The kernels of a file by name; those that a Python file imports only if it has no others.

    Raises:
        KernelFileError, TpuError, OSError: as `kernel_of`.
    """
    load = _LOADERS.get(path.suffix)
    if load is None:
        raise KernelFileError(f"{path} is no file of kernels", help=f"give a file that ends in {' or '.join(_LOADERS)}")
    with path.open("rb"):  # says in the usual way that there is no file, or no right to read it
        pass
    return load(path)


def _split(named: str) -> tuple[Path, str]:
    file, colon, name = named.rpartition(":")
    return (Path(file), name) if colon and name.isidentifier() and not Path(named).exists() else (Path(named), "")


def _python_kernels(path: Path) -> Mapping[str, Kernel]:
    from tpukernel.lang import Kernel

    module = _imported(path)
    found = {name: value for name, value in vars(module).items() if isinstance(value, Kernel)}
    own = {name: kernel for name, kernel in found.items() if kernel.__module__ == module.__name__}
    return own or found


def _text_kernels(path: Path) -> Mapping[str, Kernel]:
    from tpukernel.lang import load_all

    return load_all(path)


def _imported(path: Path) -> ModuleType:
    """The module of a file, which can import its neighbours as a script can."""
    name = f"kernels of {path.stem}"  # no name that an import statement could mean
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise KernelFileError(f"{path} cannot be imported", help="give a file of Python source")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with users_errors(KernelFileError, f"importing {path} failed"):
        spec.loader.exec_module(module)
    return module


@contextmanager
def users_errors(kind: type[TpuError], what: str) -> Generator[None]:
    """Exceptions of the user's own Python as named errors with the line; those of this package stay what they are.

    Args:
        kind: the class of the error.
        what: begin of its message.
    """
    try:
        yield
    except TpuError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error)
        if place is None:
            raise  # ours: the whole traceback is needed
        raise kind(
            f"{what}: {type(error).__name__}: {error}", where=place.rendered(), help="python FILE shows the whole traceback"
        ) from error


def _place(error: BaseException) -> Position | None:
    """Where an exception comes from; None if this package raised it."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return Position(error.filename, error.lineno or 0)
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen importlib")]
    last = frames[-1]
    if Path(last.filename).is_relative_to(_PACKAGE):
        return None
    return Position(last.filename, last.lineno or 0, (last.colno or 0) + 1, last.end_lineno or 0, (last.end_colno or 0) + 1)


_LOADERS: Final[Mapping[str, Callable[[Path], Mapping[str, Kernel]]]] = {".py": _python_kernels, ".tpuk": _text_kernels}
"""What loads the kernels of a file, by the ending of its name."""
