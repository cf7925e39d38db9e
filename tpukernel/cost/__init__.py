"""What programs cost: cycles of commands, timelines, reports."""

from tpukernel.cost.constants import COST_TABLES, CostTable, cost_table
from tpukernel.cost.errors import CostModeError, NoCostTableError, UnknownCostError
from tpukernel.cost.figures import Figures
from tpukernel.cost.model import cost_of
from tpukernel.cost.result import Cost, Loss, Mode, Traffic
from tpukernel.cost.timeline import Entry, Timeline, timeline

__all__ = [
    "COST_TABLES",
    "Cost",
    "CostModeError",
    "CostTable",
    "Entry",
    "Figures",
    "Loss",
    "Mode",
    "NoCostTableError",
    "Timeline",
    "Traffic",
    "UnknownCostError",
    "cost_of",
    "cost_table",
    "timeline",
]
