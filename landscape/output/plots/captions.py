"""What every figure shows, and from what it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.along import layer_ways, ways_between
from landscape.core.errors import ConfigError
from landscape.output.plots import common
from landscape.output.plots.gap_matrix import matrix_order

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis


def caption(analysis: Analysis, name: str) -> str:
    """A caption for one of the figures that ``write_figures`` writes.

    Args:
        analysis: The numbers.
        name: loss_curves, gap_matrix, centroid_distance, basin_histogram, evidence, contributions,
            ways, layers or surface.

    Raises:
        ConfigError: There is no such figure.
    """
    writers = {
        "loss_curves": _loss_curves,
        "gap_matrix": _gap_matrix,
        "centroid_distance": _centroid_distance,
        "basin_histogram": _basin_histogram,
        "evidence": _evidence,
        "contributions": _contributions,
        "ways": _ways,
        "layers": _layers,
        "surface": _surface,
    }
    if name not in writers:
        raise ConfigError(
            f"There is no figure '{name}'.", expected=f"one of {', '.join(writers)}", found=name
        )
    return " ".join(writers[name](analysis))


def count(n: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(share: float) -> str:
    """``95%``."""
    return f"{100 * share:g}%"


def delta_words(rule: str) -> str:
    """Where the affinity's scale comes from."""
    return {"median": "the median gap", "given": "as given"}.get(rule, rule)


def examples_of(analysis: Analysis, column: str) -> str:
    """How many examples a data set has."""
    dataset = analysis.contents.datasets.get(common.dataset_of(analysis, column))
    if dataset is None:
        return ""
    return "means only" if dataset.aggregated else count(len(dataset.labels), "example")


def coverage(analysis: Analysis) -> list[str]:
    """Which points were evaluated and what that does to the gaps, in sentences.

    None where every point was evaluated in one format, or no losses are known: there is nothing to
    say.
    """
    contents, formats = analysis.contents, analysis.contents.points_by_format
    total, done, exact = contents.formats.size, sum(formats.values()), int(contents.exact.sum())
    if not done or (done == total and len(formats) == 1):
        return []
    how = ", ".join(f"{n:,} in {name}" for name, n in formats.items())
    part = f"{done:,} of " if done < total else "All "
    where = f"points of the {common.path_name(analysis)}s"
    which = f", in {next(iter(formats))}" if len(formats) == 1 else f": {how}"
    sentences = [f"{part}{total:,} {where} were evaluated{which}."]
    if exact < total:
        over = f"Gaps are those of the {exact:,} in full precision; on" if exact < done else "On"
        more = (
            f"no gap would be larger by more than {analysis.tolerance:.2g} nats"
            if np.isfinite(analysis.tolerance)
            else "gaps may be larger by an amount that is not known, for the points were chosen by "
            "another rule or data set"
        )
        sentences.append(f"{over} the whole grid {more}.")
        if np.isfinite(analysis.tolerance):
            stay = "stay the same" if analysis.settled else "would differ"
            sentences.append(f"The basins {stay} when every gap is as large as that allows.")
    if np.isfinite(analysis.difference):
        sentences.append(
            "Between the formats, the loss of one example differs by at most "
            f"{analysis.difference:.2g} nats, a mean loss by at most "
            f"{analysis.mean_difference:.2g}."
        )
    return sentences


def points_on_a_line(analysis: Analysis) -> str:
    """``11 points``, or ``up to 11 points`` where some were not evaluated."""
    if not analysis.contents.evaluated.any():
        return "no points"
    some = "" if analysis.contents.evaluated.all() else "up to "
    return some + count(len(analysis.positions), "point")


def _measured(analysis: Analysis) -> str:
    if analysis.contents.given_gaps is None:
        finite = int(analysis.curves[analysis.dataset].measured.sum())
    else:
        finite = len(analysis.pairs)
    total = len(analysis.pairs)
    of = f" of {total:,}" if finite < total else ""
    return f"{finite:,}{of} {'pair' if total == 1 else 'pairs'}"


def _loss_curves(analysis: Analysis) -> list[str]:
    confidence = percent(analysis.gaps.confidence)
    focus = analysis.focus if analysis.focus in analysis.curves else ""
    sentences = [
        f"Mean loss (cross-entropy, nats) at {points_on_a_line(analysis)} of the "
        f"{common.path_name(analysis)} between two "
        f"models, on {analysis.dataset} ({examples_of(analysis, analysis.dataset)})"
        + (f" and, below, on {focus}" if focus and focus != analysis.dataset else "")
        + f"; {count(len(analysis.models), 'model')}, {_measured(analysis)} measured.",
        "Thin lines are pairs, bold lines their mean.",
        (
            "The band is the pair's 95% interval over examples."
            if len(analysis.pairs) == 1
            else f"Bands are {confidence} percentile intervals of the mean under resampled models; "
            "a kind with one pair has none."
        ),
    ]
    sentences += coverage(analysis)
    if not analysis.contents.evaluated.all():
        sentences.append(
            "Thin lines join the points evaluated; means and bands read the others off such lines."
        )
    kinds = np.asarray(analysis.kinds)
    if (kinds != "").any():
        left = int((kinds == "").sum())
        sentences.append(
            f"A model generalises if it is in the top third by {focus or analysis.focus} and is "
            "heuristic if in the bottom third; a mixed pair starts at its generalising model."
        )
        if left:
            verb = "has" if left == 1 else "have"
            sentences.append(
                f"{count(left, 'pair')} that {verb} a model of the middle third "
                f"{'is' if left == 1 else 'are'} not drawn."
            )
    elif analysis.basins.n_basins > 1:
        sentences.append("Pairs are told apart by whether both models are in one basin.")
    return sentences


def _gap_matrix(analysis: Analysis) -> list[str]:
    basins = analysis.basins
    rule = common.rule_name(analysis)
    _, whole = matrix_order(analysis)
    order = (
        "Rows are in the order of the merge tree, turned so that every basin is one run."
        if whole
        else "Rows are in the order of the merge tree, in which the basins are not single runs: "
        "the strip of colours shows them."
    )
    off = ~np.eye(len(analysis.models), dtype=bool)
    missing = int(np.isnan(np.asarray(analysis.gaps.estimate)[off]).sum()) // 2
    sentences = [
        f"The {rule} (nats) on {analysis.dataset} "
        f"({examples_of(analysis, analysis.dataset)}) of {_measured(analysis)} of "
        f"{count(len(analysis.models), 'model')}.",
        order,
        "The tree above joins models by single linkage: two groups merge at the smallest gap "
        "between them.",
        f"Affinity scale delta = {basins.delta:.4g} nats ({delta_words(basins.delta_rule)}).",
    ]
    sentences += coverage(analysis)
    if missing:
        sentences.append(f"{count(missing, 'pair')} not measured (hatched).")
    return sentences


def _centroid_distance(analysis: Analysis) -> list[str]:
    column = common.find_group(analysis, None)
    level = percent(analysis.relation.confidence)
    sentences = [
        f"{_capital(common.metric_of(analysis, column))} on {column} "
        f"({common.role_of(analysis, column)}{_of_how_many(analysis, column)}) "
        "against centroid distance, the distance to the first centroid less that to the second in "
        f"the spectral embedding; {count(len(analysis.models), 'model')}.",
        f"The line is least squares, its band the {level} percentile interval under resampled "
        f"models; in brackets, {level} intervals by Fisher's z.",
    ]
    if analysis.basins.n_basins == 1:
        sentences.append(
            "One basin was found: distance and colours come from a forced two-way split."
        )
    elif analysis.basins.n_basins > 2:
        sentences.append("With more than two basins the centroids are those of the largest two.")
    return sentences


def _basin_histogram(analysis: Analysis) -> list[str]:
    column = common.find_group(analysis, None)
    level = percent(analysis.relation.confidence)
    one = analysis.basins.n_basins == 1
    return [
        f"{_capital(common.metric_of(analysis, column))} on {column} "
        f"({common.role_of(analysis, column)}) of {count(len(analysis.models), 'model')}, stacked "
        f"by {'the side of a forced two-way split (one basin was found)' if one else 'basin'}.",
        f"Above the bars: the mean {'of all models' if one else 'of each basin'} with its {level} "
        "interval under resampled models (none for a single model).",
    ]


def _evidence(analysis: Analysis) -> list[str]:
    evidence, mixture = analysis.basins.evidence, analysis.basins.evidence.mixture
    sentences = [
        "Left: the mean silhouette of each number of basins, the one taken filled, and what "
        "populations of one basin exceed in 5% of draws at any of them.",
        "Middle: the lowest eigenvalues of the affinity's normalised Laplacian; their largest rise "
        f"comes after {evidence.eigengap}.",
        f"Right: the {common.rule_name(analysis)} of {_measured(analysis)}; dotted, the tolerance "
        f"of {evidence.tolerance:g} nats.",
    ]
    if np.isfinite(np.asarray(analysis.gaps.null_bias)[tuple(analysis.pairs.T)]).any():
        sentences.append(
            "Grey: the mean gap that example noise alone gives to the median pair and, lighter, to "
            "the noisiest."
        )
    if mixture is None:
        sentences.append("The gaps are too few or too alike for a mixture.")
    elif mixture.n_kinds == 1:
        sentences.append("By a mixture of normal distributions they are of one kind.")
    else:
        sentences.append(
            "A mixture of two normal distributions of their roots fits better than one: bars are "
            "parted by the probability of either kind."
        )
    return sentences


def _contributions(analysis: Analysis) -> list[str]:
    return [
        f"Contributions of the examples of {analysis.dataset} "
        f"({examples_of(analysis, analysis.dataset)}) to the mean {common.rule_name(analysis)} of "
        f"{_measured(analysis)}, those above 0, the largest first and summed up.",
        "Dotted: if all contributed alike.",
        "Numbers: what the 1, 5 and 10% of the examples hold that contribute most.",
    ]


def _of_how_many(analysis: Analysis, column: str) -> str:
    """The size of the column's data set, where it has one."""
    size = examples_of(analysis, column)
    known = size and not analysis.contents.datasets[common.dataset_of(analysis, column)].aggregated
    return f"; data set of {size}" if known else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ways(analysis: Analysis) -> list[str]:
    found = ways_between(analysis.contents)
    pair = next(iter(found))
    points = max(len(way.positions) for way in found[pair])
    return [
        f"Mean loss at up to {points} points of each way from {pair[0]} to {pair[1]}, on "
        f"{analysis.dataset}"
        + (f" and, below, on {analysis.focus}" if analysis.focus != analysis.dataset else "")
        + ", against the share of its length.",
        "Control points and pivots were trained on the task's training data.",
        *(
            f"{way.name}: the training loss still fell at the end."
            for way in found[pair]
            if way.notes.get("converged") is False
        ),
    ]


def _layers(analysis: Analysis) -> list[str]:
    ways = layer_ways(analysis.contents)
    starts = list(dict.fromkeys(str(way.notes["part"]["from"]) for way in ways))
    return [
        "Bars: the highest loss, above that of the start, when only one group of layers goes in a "
        f"straight line from one model to the other ({' and '.join(starts)}) and all other "
        "parameters stay.",
        "Ticks: the loss at the end of that way, which is a model put together from both.",
        "Dashed: the highest loss when all parameters move, where that line was measured.",
    ]


def _surface(analysis: Analysis) -> list[str]:
    sentences = []
    for points in analysis.contents.points.values():
        if not points.is_surface or not points.evaluated.any():
            continue
        what = {
            "plane": f"the plane through {', '.join(points.models)}",
            "random": f"two random, filter-normalised directions at {points.models[0]}",
            "pca": "the principal plane of all models, onto which they are projected",
        }[points.kind]
        n = int(points.evaluated.sum())
        share = f"{n:,} of {points.evaluated.size:,}" if n < points.evaluated.size else f"{n:,}"
        sentences.append(f"{points.name}: mean loss at {share} points of {what}.")
    return [*sentences, "All panels share one scale of colours."]
