"""What to know of the measured pairs and scores before believing what an analysis found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape.core.wording import count, verb
from landscape.output.words import ranked_pairs

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_NAMED = 5  # lines in one sentence


def general_warnings(analysis: Analysis) -> list[str]:
    """Those that no section brings along."""
    results, warnings = analysis.results, []
    aggregated = results.datasets[analysis.dataset].aggregated
    if n := len(analysis.pairs) - len(ranked_pairs(analysis)):
        why = (
            f"{verb(n, 'has', 'have')} no losses in the files that were read."
            if aggregated
            else f"{verb(n, 'was', 'were')} not measured; run the experiment again to fill the "
            "store."
        )
        warnings.append(f"{count(n, 'pair')} of {len(analysis.pairs):,} {why}")
    elif str(results.attributes.get("finished", "yes")) != "yes":
        warnings.append(
            "The store is not marked as finished: a run was interrupted or still goes on."
        )
    if lines := analysis.not_finite:
        shown = "; ".join(lines[:_NAMED])
        if len(lines) > _NAMED:
            shown += f" and {len(lines) - _NAMED} more"
        warnings.append(
            f"{count(len(lines), 'pair')} {verb(len(lines), 'has', 'have')} losses that are not "
            f"finite on {analysis.dataset}, and so no gap: {shown}. What depends on all gaps rests "
            "on the others."
        )
    if n := results.never_measured - len(analysis.not_finite):
        models = len(analysis.models)
        chose = results.chosen == "active" and not aggregated
        warnings.append(
            f"{count(n, 'pair')} of {models * (models - 1) // 2:,} {verb(n, 'was', 'were')} never "
            f"measured{': the run chose those that decide something' if chose else ''}. What "
            "depends on all gaps rests on the measured ones."
        )
    if results.given_gaps is not None:
        warnings.append(
            f"Of {analysis.dataset} only gaps are known, not the losses that they are of: gaps "
            "have no intervals, and there are no curves to draw."
        )
    elif aggregated:
        warnings.append(
            f"Of {analysis.dataset} only mean losses are known, not those of single examples: gaps "
            "have no intervals, and nothing says which of them are noise."
        )
    if not analysis.focus:
        warnings.append("There is no challenge set: scores in the figures are in-domain.")
    return warnings
