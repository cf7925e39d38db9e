"""Kernels and values as Python source text: imported where a script can import them, copied where not, with all that they use.

Kernels that are text themselves are copied.
"""

from __future__ import annotations

import ast
import dis
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from keyword import iskeyword
from math import isfinite
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, cast

from tpukernel.dtypes import Dtype
from tpukernel.lang.definition import FunctionDefinition
from tpukernel.lang.kernel import Kernel
from tpukernel.lang.text.definition import TextDefinition
from tpukernel.testing.errors import ReproductionError

__all__ = ["Source"]


class Source:
    """The first part of a script: imports and definitions, in an order in which they work.

    Attributes:
        folders: folders that the imports need on the path.
        imports: import statements.
        definitions: copied source text.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.imports: list[str] = []
        self.definitions: list[str] = []
        self._known: set[str] = set()

    def kernel(self, kernel: Kernel) -> str:
        """Define a kernel, under the name that comes back.

        Raises:
            ReproductionError: it cannot be imported, and has no source text, or uses something that cannot be written down.
        """
        attribute = self._attribute_of(kernel)
        name = attribute or _python_name(kernel.signature.name)
        self._known.add(name)
        self._define_kernel(kernel, name)
        return name

    def _define_kernel(self, kernel: Kernel, name: str) -> None:
        if not self._imported(kernel, kernel.__module__, self._attribute_of(kernel), name):
            definition = kernel.definition
            if isinstance(definition, TextDefinition):
                self._text(kernel, definition, name)
                return
            if not isinstance(definition, FunctionDefinition):
                raise ReproductionError(
                    f"kernel {kernel.signature.name} is neither a Python function nor text",
                    help="put it into a module, and use it from there",
                )
            self._copied(definition.function, name, {"infer": definition.infer})

    def _text(self, kernel: Kernel, definition: TextDefinition, name: str) -> None:
        """A kernel of a text: the whole text is copied, so that messages have its lines. It gets the name of its file, without folders."""
        self._import("import tpukernel as tpu")
        position = definition.node.position
        source, file = _quoted(definition.source), Path(position.file).name
        where = "" if position.file.startswith("<") else f", name={file!r}"  # a text without a file is named by what it says
        limit = "" if kernel.limit == definition.limit else f".with_limit({kernel.limit})"
        self.definitions.append(f"{name} = tpu.parse({source}, {definition.node.name.text!r}{where}){limit}")

    def literal(self, value: object, what: str) -> str:
        """An expression for a value; imports what it needs.

        Raises:
            ReproductionError: there is none.
        """
        if isinstance(value, Dtype):
            self._import("import tpukernel as tpu")
            return f"tpu.{value.name}"
        if isinstance(value, Enum):
            kind = type(value)
            self._import(f"from {kind.__module__} import {kind.__qualname__}")
            return f"{kind.__qualname__}.{value.name}"
        if isinstance(value, float) and not isfinite(value):
            return f'float("{value}")'
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return repr(value)
        if type(value) in (tuple, list, set, frozenset, dict):
            return self._collection(cast("tuple[object, ...]", value), what)
        raise ReproductionError(f"{what} is {value!r}, which no script can say", help="use numbers, strings, data types, or tuples of them")

    def _collection(self, value: tuple[object, ...] | Mapping[object, object], what: str) -> str:
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{self.literal(key, what)}: {self.literal(each, what)}" for key, each in value.items()) + "}"
        inside = "".join(f"{self.literal(each, what)}, " for each in value)
        return f"({inside})" if type(value) is tuple else f"{type(value).__name__}(({inside}))"

    # ------------------------------------------------------------------ imports

    def _import(self, statement: str) -> None:
        if statement not in self.imports:
            self.imports.append(statement)

    def _attribute_of(self, value: object) -> str | None:
        """The global name of its module that a kernel, function or class has."""
        module = _module_of(value)
        return None if module is None else next((name for name, each in vars(module).items() if each is value), None)

    def _imported(self, value: object, module: str, attribute: str | None, name: str) -> bool:
        found = _module_of(value)
        if found is None or attribute is None or module == "__main__" or getattr(found, "__file__", None) is None:
            return False
        self._folder_of(found)
        self._import(f"from {module} import {attribute}" + (f" as {name}" if name != attribute else ""))
        return True

    def _folder_of(self, module: ModuleType) -> None:
        """The folder from which a module of the user's can be imported. (What is installed needs none.)"""
        file = Path(str(module.__file__)).resolve()
        depth = module.__name__.count(".") + (file.name == "__init__.py")
        folder = str(file.parents[depth])
        if (
            module.__name__.partition(".")[0] not in (*sys.stdlib_module_names, "numpy", "tpukernel", "bmlang")
            and folder not in self.folders
        ):
            self.folders.append(folder)

    # ------------------------------------------------------------------ copies

    def _copied(self, function: Callable[..., object], name: str, decorator_names: Mapping[str, object]) -> None:
        code = cast("FunctionType", function)
        text = _text_of(code)
        if text is None:
            raise ReproductionError(
                f"{code.__name__} has no source text and cannot be imported", help="write it in a module, outside of functions"
            )
        for used, value in self._used(code, text, decorator_names):
            self._define(used, value, code.__name__)
        alias = f"\n\n{name} = {code.__name__}" if name != code.__name__ else ""
        self.definitions.append(text.rstrip() + alias)

    def _used(self, function: FunctionType, text: str, decorator_names: Mapping[str, object]) -> Iterator[tuple[str, object]]:
        """The names that a function and its decorators use, with their values."""
        closure = inspect.getclosurevars(function).nonlocals
        helpers = {getattr(value, "__name__", ""): value for value in decorator_names.values() if value is not None}
        known = function.__globals__ | helpers | dict(closure)
        for name in sorted(_globals_of(function.__code__) | closure.keys() | _names_of_head(text)):
            if name in known:
                yield name, known[name]

    def _define(self, name: str, value: Any, user: str) -> None:  # noqa: ANN401
        if name in self._known:
            return
        self._known.add(name)
        if isinstance(value, ModuleType):
            self._folder_of(value) if getattr(value, "__file__", None) else None
            self._import(f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else ""))
        elif isinstance(value, Kernel):
            self._define_kernel(value, name)
        elif isinstance(value, type) or callable(value):
            self._callable(name, value, user)
        else:
            self.definitions.append(f"{name} = {self.literal(value, f'{name}, which {user} uses,')}")

    def _callable(self, name: str, value: Callable[..., object], user: str) -> None:
        if self._imported(value, value.__module__, self._attribute_of(value), name):
            return
        if not isinstance(value, FunctionType):
            raise ReproductionError(f"{name}, which {user} uses, cannot be imported", help="write it in a module, outside of functions")
        self._copied(value, name, {})


def _module_of(value: object) -> ModuleType | None:
    return sys.modules.get(str(getattr(value, "__module__", "")))


_TAKEN: Final = frozenset(
    {"np", "tpu", "tpukernel", "sys", "Path", "annotations", "arrays", "data", "found", "wanted", "repeat_the_failure"}
)
"""Names that a script has for itself."""


def _python_name(name: str) -> str:
    """The name of a kernel as one of Python's: a text may call it as it likes."""
    plain = re.sub(r"\W", "_", name)
    return f"{plain}_kernel" if not plain.isidentifier() or iskeyword(plain) or plain in _TAKEN else plain


def _quoted(text: str) -> str:
    """A string literal that keeps the lines of a text where it can."""
    plain = "\\" not in text and '"""' not in text and not text.endswith('"') and text.replace("\n", "").isprintable()
    return f'"""{text}"""' if plain else repr(text)


def _text_of(function: FunctionType) -> str | None:
    """The statement that defines a function, with its decorators; None where Python has another text in that place, or none."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    found = _statement(textwrap.dedent(source)) or _statement(f"if True:\n{source}")  # the lines of a text in quotes may stand further left
    if found is None or found[1].name != function.__name__:
        return None
    text, statement = found
    arguments = [each.arg for each in (*statement.args.posonlyargs, *statement.args.args)]
    return text if arguments == list(inspect.getargs(function.__code__).args)[: len(arguments)] else None


def _statement(text: str) -> tuple[str, ast.FunctionDef] | None:
    """The text with the one function that it defines."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return None
    body = body[0].body if body and isinstance(body[0], ast.If) else body
    return (text, body[0]) if len(body) == 1 and isinstance(body[0], ast.FunctionDef) else None


def _globals_of(code: CodeType) -> set[str]:
    """Global names that a function and the functions in it read."""
    found = {str(each.argval) for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _globals_of(constant)
    return found


def _names_of_head(text: str) -> set[str]:
    """Names in the decorators and defaults of a function."""
    tree = ast.parse(text)
    function = next((each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)), None)
    if function is None:
        return set()
    parts = [*function.decorator_list, *function.args.defaults, *(each for each in function.args.kw_defaults if each is not None)]
    return {each.id for part in parts for each in ast.walk(part) if isinstance(each, ast.Name)}
