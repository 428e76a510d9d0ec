"""What to know of the measured pairs and scores before believing what an analysis found."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from landscape.core.wording import count, listed, verb
from landscape.output.words import ranked_pairs

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_NAMED = 5  # lines in one sentence


def general_warnings(analysis: Analysis) -> list[str]:
    """Those that no section brings along."""
    results, warnings = analysis.results, []
    aggregated = results.datasets[analysis.dataset].aggregated
    if n := len(analysis.pairs) - len(ranked_pairs(analysis)):
        was = verb(n, "was", "were")
        warnings.append(f"{count(n, 'pair')} of {len(analysis.pairs):,} {was} not measured.")
    elif str(results.attributes.get("finished", "yes")) != "yes":
        warnings.append("The store is not marked as finished: a run was interrupted or goes on.")
    if lines := analysis.not_finite:
        warnings.append(
            f"{count(len(lines), 'pair')} {verb(len(lines), 'has', 'have')} losses that are not "
            f"finite on {analysis.dataset}, and so no gap: {listed(lines, _NAMED)}. What depends "
            "on all gaps rests on the others."
        )
    if names := analysis.left_out:
        warnings.append(
            f"{listed(names, _NAMED)} {verb(len(names), 'is', 'are')} left out: no pair with "
            f"{verb(len(names), 'it', 'them')} has finite losses on {analysis.dataset}."
        )
    if n := results.never_measured - len(analysis.not_finite):
        by_run = results.chosen == "active" and not aggregated
        chose = ": the run chose those that decide something" if by_run else ""
        warnings.append(
            f"{count(n, 'pair')} of {comb(len(analysis.models), 2):,} {verb(n, 'was', 'were')} "
            f"never measured{chose}. What depends on all gaps rests on the measured ones."
        )
    if results.given_gaps is not None or aggregated:
        what = "gaps" if results.given_gaps is not None else "mean losses"
        warnings.append(
            f"Of {analysis.dataset} only {what} are known, not losses of single examples: gaps "
            "have no intervals, and nothing says which of them are noise."
        )
    if not analysis.focus:
        warnings.append("There is no challenge set: scores in the figures are in-domain.")
    return warnings
