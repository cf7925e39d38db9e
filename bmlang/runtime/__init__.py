"""BMRuntime: running BModels, recording what their commands do, comparing recordings."""

from bmlang.host import CPU_OPERATORS, CpuOperator, cpu_operator
from bmlang.runtime.comparison import Comparison, Difference, ProgramDifference, compare
from bmlang.runtime.events import Event
from bmlang.runtime.network import IoTensor, Network
from bmlang.runtime.recording import Entry, Recording, Value
from bmlang.runtime.recording_file import load_recording
from bmlang.runtime.runtime import Runtime

__all__ = [
    "CPU_OPERATORS",
    "Comparison",
    "CpuOperator",
    "Difference",
    "Entry",
    "Event",
    "IoTensor",
    "Network",
    "ProgramDifference",
    "Recording",
    "Runtime",
    "Value",
    "compare",
    "cpu_operator",
    "load_recording",
]
