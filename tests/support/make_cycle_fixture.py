"""Regenerates ``tests/data/cycles_bm1684x.json``: what the official library's own estimator counts for the calls of the golden cases.

    python -m tests.support.make_cycle_fixture

Needs the official library (see ``tests.support.oracle``).
"""

from __future__ import annotations

import json

from tests.support.cycles import FILE, count_golden_cases

DOC = (
    "By golden case (golden_bm1684x): the cycles that the official library's estimator adds up for its calls, read from cycle_count of "
    "CMD_ID_NODE before and after them: of all commands one after the other, in parallel sections both engines side by side."
)


def main() -> None:
    """Write the file."""
    counted = count_golden_cases()
    lines = ",\n".join(f'  "{case}": {cycles}' for case, cycles in counted.items())
    FILE.write_text(f'{{\n "doc": {json.dumps(DOC)},\n "cycles": {{\n{lines}\n }}\n}}\n', encoding="utf-8")
    print(f"{FILE.name}: {len(counted)} cases")


if __name__ == "__main__":
    main()
