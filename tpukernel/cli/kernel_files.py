"""Kernels of files: `FILE` or `FILE:KERNEL`.

A Python file is imported, which executes it: it is the user's own. What stands under `if __name__ == "__main__":` does not run.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from tpukernel.cli.errors import KernelChoiceError, KernelFileError
from tpukernel.errors import TpuError

if TYPE_CHECKING:
    from tpukernel.lang import Kernel

__all__ = ["is_kernel_file", "kernel_of", "kernels_in"]


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
    path, name = _split(named)
    found = kernels_in(path)
    if name in found:
        return found[name]
    known = ", ".join(found)
    if not found:
        raise KernelChoiceError(f"{path} holds no kernel", help="decorate a function with @tpukernel.kernel")
    if name:
        raise KernelChoiceError(f"{path} holds no kernel {name}", help=f"it has {known}")
    if len(found) > 1:
        raise KernelChoiceError(f"{path} holds {len(found)} kernels", help=f"choose one, as in {path}:{next(iter(found))}; it has {known}")
    return next(iter(found.values()))


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
    try:
        spec.loader.exec_module(module)
    except TpuError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's file does
        raise KernelFileError(
            f"importing {path} failed: {type(error).__name__}: {error}",
            where=_place(error, path),
            help="python FILE shows the whole traceback",
        ) from error
    return module


def _place(error: BaseException, path: Path) -> str:
    """The innermost line of the file itself."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{Path(error.filename).name}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
    return f"{path.name}:{lines[-1]}" if lines else path.name


_LOADERS: Final[Mapping[str, Callable[[Path], Mapping[str, Kernel]]]] = {".py": _python_kernels}
"""What loads the kernels of a file, by the ending of its name."""
