"""All patterns with the classes that hold them, as a table beside the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wavelens._utils._csv import escape_formula, open_csv
from wavelens.patterns import PatternAnalysis
from wavelens.plotting._style import names_of

__all__ = ["write_patterns_csv"]


def write_patterns_csv(path: Path, analysis: PatternAnalysis, class_names: tuple[str, ...]) -> None:
    """Write a line for each pattern; UTF-8, one header line.

    Parameters
    ----------
    path : Path
    analysis : PatternAnalysis
        Fitted.
    class_names : tuple of str
        Integer labels are places in it.

    Returns
    -------
    None
        The columns are the pattern, its owner (empty where classes share it), the class where it is strongest,
        the angle against the second strongest in degrees, its isolation from 0 (common to all) to 1 (of one
        class), how many classes hold it and which, strongest first, separated by semicolons, and σ of each
        class.
    """
    table = analysis.pattern_table()
    names = names_of(analysis.classes_, class_names)
    holders = table.n_classes_holding
    with open_csv(path) as table_file:
        table_file.row(
            ["pattern", "owner", "strongest", "angle", "isolation", "n_classes_holding", "held_by"]
            + [f"sigma: {name}" for name in names]
        )
        for k, sigma in enumerate(table.sigma):
            held_by = [names[i] for i in np.argsort(-sigma, kind="stable")[: holders[k]]]
            table_file.row(
                [
                    k,
                    names[table.owner[k]] if table.owner[k] >= 0 else "",
                    names[table.strongest[k]],
                    np.degrees(table.angle[k]),
                    table.commonness[k],
                    holders[k],
                    "; ".join(map(escape_formula, held_by)),
                    *sigma.tolist(),
                ]
            )
