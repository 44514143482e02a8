"""How much the fitted numbers of the template miner owe to the logs that they were chosen on.

    python bench/leave_one_out.py DATASETS

DATASETS is a folder of Loghub's 2k samples with corrected labels. Every number that was fitted is
varied: how many different words make a variable, for ordinary words, for the first word of a
message and for a message's only word, and how many names may stand at one place. For each system
the setting is chosen that is best on all *other* systems (mean of GA, FGA, PA and FTA), and
measured on the one that was left out. If the choices generalise, these means are near those of
the setting that l4fast uses.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass
from statistics import fmean

from l4fast import loghub, templates, variables

MEASURES = loghub.MEASURES


@dataclass(frozen=True)
class Setting:
    """The fitted numbers; see `l4fast.variables` and `l4fast.templates`."""

    min_values: int
    first_values: int
    only_word_values: int


CHOSEN = Setting(templates.MIN_VALUES, variables.FIRST_VALUES, variables.ONLY_WORD_VALUES)
GRID = [Setting(*choice) for choice in itertools.product((3, 4, 5, 6, 8), (5, 10, 20), (4, 8, 16))]


def measured(sets: list[loghub.DataSet], setting: Setting) -> list[dict[str, float]]:
    """Return the four measures of each set."""
    templates.derive.__kwdefaults__["min_values"] = setting.min_values
    variables.FIRST_VALUES = setting.first_values
    variables.ONLY_WORD_VALUES = setting.only_word_values
    found = []
    for each in sets:
        result = loghub.run(each)
        assert isinstance(result, loghub.Result), result
        found.append({name: getattr(result.accuracy, name) for name in MEASURES})
    return found


def main() -> None:
    """Measure all settings, choose for each system on the others, print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("datasets")
    sets, _ = loghub.find(options.parse_args().datasets)
    table = {setting: measured(sets, setting) for setting in dict.fromkeys([CHOSEN, *GRID])}
    total = {setting: [sum(row.values()) for row in rows] for setting, rows in table.items()}
    left_out = []
    print(f"{'':<12} {'chosen on the others':<24} GA    FGA   PA    FTA    l4fast: GA    FGA   PA    FTA")
    for i, each in enumerate(sets):
        best = max(table, key=lambda s: (sum(total[s]) - total[s][i], s == CHOSEN))
        left_out.append(table[best][i])
        chosen = f"{best.min_values} {best.first_values} {best.only_word_values}"
        print(f"{each.name:<12} {chosen:<24} {_row(table[best][i])}          {_row(table[CHOSEN][i])}")
    print(f"{'left out':<37} {_row(_means(left_out))}")
    print(f"{'l4fast':<37} {_row(_means(table[CHOSEN]))}")
    worst = min(table, key=lambda s: sum(total[s]))
    print(f"{f'worst of {len(table)}: {worst}':<37} {_row(_means(table[worst]))}")


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(row[name] for row in rows) for name in MEASURES}


def _row(measures: dict[str, float]) -> str:
    return " ".join(f"{measures[name]:.3f}" for name in MEASURES)


if __name__ == "__main__":
    main()
