"""What a BModel holds and how long it takes, as one page of HTML."""

from bmlang.program.report.facts import ModelFacts, model_facts
from bmlang.program.report.page import report_page

__all__ = ["ModelFacts", "model_facts", "report_page"]
