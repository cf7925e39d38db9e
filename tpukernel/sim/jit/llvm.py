"""From the text of an LLVM module to the address of its function.

No pass pipeline runs: the templates are written as they are to be executed (explicit vectors, values carried by loops), and passes would
cost more than the code generation itself. Code generation level 1 without loop strength reduction takes a third of the time of the default
and gives the same speed on these templates. Objects are kept in the user's cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, cast

from tpukernel.cache import Cache, default_cache

if TYPE_CHECKING:
    import llvmlite.binding as binding

    from tpukernel.sim.jit.kernel import Kernel

__all__ = [
    "ENTRY",
    "Target",
    "aarch64_target",
    "assembly",
    "baseline_target",
    "compile_object",
    "host_target",
    "is_cached",
    "link",
    "load",
    "load_kernel",
]

ENTRY = "kernel"
"""Name of the function that a module exports."""


@dataclass(frozen=True)
class Target:
    """A processor to compile for.

    Attributes:
        triple: the system, as LLVM writes it.
        cpu: the processor's name, as LLVM writes it.
        features: its abilities, as LLVM writes them.
        arch: family.
        vector_bytes: bytes of a vector register.
        converts_f16: it has instructions that convert f16 to f32 and back.
        mask_bytes: bytes of the smallest elements of which it loads and stores parts of vectors; 0 for none.
    """

    triple: str
    cpu: str
    features: str
    arch: Literal["x86-64", "aarch64"]
    vector_bytes: int
    converts_f16: bool
    mask_bytes: int = 0

    @property
    def is_x86(self) -> bool:
        return self.arch == "x86-64"

    @property
    def rounds(self) -> bool:
        """Whether it has instructions that round floats to whole ones."""
        return not self.is_x86 or self.vector_bytes > 16

    def masks(self, size: int) -> bool:
        """Whether it loads and stores parts of vectors of elements of that many bytes."""
        return 0 < self.mask_bytes <= size


@cache
def _make_ready() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    llvm.set_option("", "-disable-lsr")


@cache
def host_target() -> Target:
    """The processor that we run on."""
    import llvmlite.binding as llvm

    _make_ready()
    features = llvm.get_host_cpu_features()
    return _target(llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten(), features)


def baseline_target() -> Target:
    """Any x86-64 processor, for tests of the templates."""
    return _target("x86_64-unknown-linux-gnu", "x86-64", "", {})


def aarch64_target() -> Target:
    """Any 64-bit ARM processor, for tests of the templates."""
    return _target("aarch64-unknown-linux-gnu", "generic", "", {})


def _target(triple: str, cpu: str, features: str, has: Mapping[str, bool]) -> Target:
    if triple.startswith(("aarch64", "arm64")):
        return Target(triple, cpu, features, "aarch64", vector_bytes=16, converts_f16=True)
    wide = 64 if has.get("avx512bw") and has.get("avx512vl") and has.get("avx512dq") else 32 if has.get("avx2") else 16
    return Target(triple, cpu, features, "x86-64", wide, converts_f16=bool(has.get("f16c")), mask_bytes={64: 1, 32: 4}.get(wide, 0))


@cache
def _machine(target: Target) -> binding.TargetMachine:
    import llvmlite.binding as llvm

    _make_ready()
    if target.arch != host_target().arch:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    # The linker puts code and constants wherever memory is free. In a process with gigabytes of simulated memory these can be farther apart
    # than the 32 bits of the smaller code models (LLVM then aborts the process).
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=1, reloc="static", codemodel="large"
    )


def compile_object(text: str, target: Target, *, verify: bool = False) -> bytes:
    """The object file of a module.

    Raises:
        RuntimeError: the text is no module (a mistake in a template).
    """
    import llvmlite.binding as llvm

    _make_ready()
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    if verify:
        module.verify()
    return _machine(target).emit_object(module)


def assembly(text: str, target: Target) -> str:
    """What the processor executes, to look at the code of a template; raises as `compile_object` does."""
    import llvmlite.binding as llvm

    machine = _machine(target)
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    return machine.emit_assembly(module)


def _key(identity: str, target: Target) -> str:
    import llvmlite.binding as llvm

    version = cast("tuple[int, ...]", llvm.llvm_version_info)
    return hashlib.sha256("\0".join((identity, repr(version), repr(target))).encode()).hexdigest()


@dataclass
class _Linked:
    """Code in this process. Its owners are kept, or else it would be unloaded."""

    jit: binding.LLJIT
    trackers: list[binding.ResourceTracker] = field(default_factory=list["binding.ResourceTracker"])
    lock: Lock = field(default_factory=Lock)


@cache
def _linked() -> _Linked:
    import llvmlite.binding as llvm

    return _Linked(llvm.create_lljit_compiler(_machine(host_target())))


def link(data: bytes, symbols: Mapping[str, int] | None = None) -> int:
    """The address of the function `ENTRY` of an object file.

    Args:
        data: the object file, for this processor.
        symbols: addresses of the functions that it calls.
    """
    import llvmlite.binding as llvm

    linked = _linked()
    with linked.lock:
        builder = llvm.JITLibraryBuilder().add_object_img(data).export_symbol(ENTRY)
        for name, address in (symbols or {}).items():
            builder.import_symbol(name, address)
        tracker = builder.link(linked.jit, f"kernel{len(linked.trackers)}")
        linked.trackers.append(tracker)
        return cast("int", tracker[ENTRY])


def load(text: str, symbols: Mapping[str, int] | None = None, cached: Cache | None = None) -> int:
    """The address of the function `ENTRY` of a module: compiled for this processor, or from the cache."""
    return _load(text, lambda: text, symbols, cached)


def load_kernel(kernel: Kernel, cached: Cache | None = None) -> int:
    """The address of a kernel's code: compiled for this processor, or from the cache.

    An object that is in the cache is found by the key of its kernel and the sources of the templates, so that no text has to be written for
    it (which takes longer than linking): what a kernel emits depends on nothing else.
    """
    return _load(_identity(kernel), lambda: kernel.emit(host_target()), None, cached)


def is_cached(kernel: Kernel) -> bool:
    """Whether a kernel is in the cache."""
    return default_cache().get(_key(_identity(kernel), host_target())) is not None


def _identity(kernel: Kernel) -> str:
    return f"{_sources()}\0{kernel.key}"


def _load(identity: str, emit: Callable[[], str], symbols: Mapping[str, int] | None, cached: Cache | None) -> int:
    cached = cached or default_cache()
    key = _key(identity, host_target())
    data = cached.get(key)
    if data is None:
        data = compile_object(emit(), host_target())
        cached.put(key, data)
    return link(data, symbols)


@cache
def _sources() -> str:
    """The hash of the sources of the templates: all of this package."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
