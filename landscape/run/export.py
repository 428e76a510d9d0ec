"""What ``landscape export`` does: from references and a recipe to a checkpoint directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.checkpoints import Checkpoint, expand, load_checkpoint, load_population, soups
from landscape.checkpoints.export import export_point, require_empty
from landscape.core.errors import ConfigError, require_known
from landscape.core.progress import Track, silent

if TYPE_CHECKING:
    from landscape.paths.kinds import Spanned
    from landscape.records import Results

Report = Callable[[str], None]


def export(
    refs: Sequence[str],
    out: str | Path,
    *,
    at: float | None = None,
    weights: Sequence[float] | None = None,
    soup: str | None = None,
    slerp: float | None = None,
    track: Track[Checkpoint] = silent,
) -> Path:
    """Write a point of weight space between checkpoints as a checkpoint directory.

    At most one of ``at`` (of two: the t along their line), ``weights`` (divided by their sum),
    ``soup`` and ``slerp`` (of two: by the angle of the whole models); without any, the uniform
    soup. The head's rows stand in the first checkpoint's order of labels.
    """
    options = {"at": at, "weights": weights, "soup": soup, "slerp": slerp}
    recipes = [f"--{name}" for name, value in options.items() if value is not None]
    if len(recipes) > 1:
        raise ConfigError(
            "More than one recipe is given.",
            expected="one of --at, --weights, --soup and --slerp",
            found=" and ".join(recipes),
        )
    if soup is not None:
        also = "; greedy, of an experiment's YAML"
        require_known("soup", soup, ["uniform"], where="--soup", also=also)
    sources = expand(refs)
    for option, t in (("--at", at), ("--slerp", slerp)):
        if t is not None:
            _check_position(option, t, len(sources))
    if weights is not None and len(weights) != len(sources):
        raise ConfigError(
            "There must be a weight for each checkpoint.",
            where="--weights",
            expected=f"{len(sources)} numbers",
            found=len(weights),
        )
    require_empty(Path(out))
    labels = load_checkpoint(sources[0]).label_names
    members = load_population(refs, labels, track=track).checkpoints
    recipe: dict[str, Any] = {"kind": "uniform soup"}
    row = soups.uniform(len(members))
    if at is not None:
        recipe, row = {"kind": "line", "t": at}, np.array([1 - at, at])
    elif weights is not None:
        recipe, row = {"kind": "weighted soup"}, soups.weighted(weights)
    elif slerp is not None:
        angle = soups.weight_angle(members[0].params, members[1].params)
        recipe, row = {"kind": "slerp", "t": slerp, "angle": angle}, soups.slerp(angle, slerp)[0]
    return export_point(members, row, Path(out), recipe)


def export_stored(
    store: str | Path,
    name: str,
    at: Sequence[float] | None,
    out: str | Path,
    *,
    control: int | None = None,
    base: Path | None = None,
) -> Path:
    """Write a point of a path or a surface that a store holds as a checkpoint directory.

    Control points are read from the folder ``control_points`` beside the store, whose relative
    references start from ``base``. ``A--B`` of two models is the path between all pairs; ``at``
    is the t of a curve, x and y of a surface, barycentric coordinates on a simplex.
    """
    from landscape.records import read_store
    from landscape.run.measure.other_paths import stored_points

    results = read_store(store)
    kind, notes, title = _notes_of(results, name)
    require_empty(Path(out))
    members = _unchanged_members(results, notes["models"], base)
    folder = results.path.parent / "control_points" / title
    spanned = stored_points(name, notes, [member.params for member in members], folder)
    if control is not None:
        row = np.zeros(len(spanned.anchors))
        n_models = len(notes["models"])
        n_controls = len(spanned.anchors) - n_models
        is_curve = spanned.shape == np.shape(spanned.geometry.positions)
        first = 1 if is_curve else n_models  # between the ends of a curve, after the corners
        if not 0 <= control < n_controls:
            raise ConfigError(
                f"There is no such control point on '{name}'.",
                where="--control",
                expected=f"0 to {n_controls - 1}" if n_controls else "a path that has some",
                found=control,
            )
        row[first + control] = 1.0
    else:
        row = spanned.basis([_position(spanned, name, at or ())])[0]
    recipe = {
        "kind": kind,
        "of": name,
        "at": None if at is None else list(at),
        "control": control,
        "models": notes["models"],
    }
    return export_point(spanned.anchors, row, Path(out), recipe, like=members[0])


def _notes_of(results: Results, name: str) -> tuple[str, dict[str, Any], str]:
    """The kind, the notes and the folder of control points of a path of a store."""
    if name in results.points:
        return results.points[name].kind, results.points[name].notes, name
    ends = [[results.models[i] for i in pair] for pair in results.pairs]
    pairs = {"--".join(pair): pair for pair in ends}
    require_known("path or surface", name, [*results.points, *pairs], where="--of")
    pair = pairs[name]
    title = "--".join(model.replace("/", "_") for model in pair)
    path = results.config["paths"][0]
    return path["kind"], {"path": path, "models": pair, "part": {}}, f"pairs/{title}"


def _unchanged_members(
    results: Results, models: Sequence[str], base: Path | None
) -> Sequence[Checkpoint]:
    """The checkpoints, with label order as they were measured."""
    table = results.checkpoints.set_index("name")
    refs = [str(table.loc[model, "ref"]) for model in models]
    labels = str(table.loc[models[0], "labels"]).split(", ")
    # a population, so that names and label order are those that were measured
    beside = [ref for ref in table["ref"] if ref not in refs][: 2 - len(refs)]
    members = load_population([*refs, *beside], labels, base=base).checkpoints[: len(refs)]
    for model, member in zip(models, members, strict=True):
        if member.content_hash() != table.loc[model, "sha256"]:
            raise ConfigError(
                f"The checkpoint '{model}' has changed since it was measured.", where=member.path
            )
    return members


def _position(spanned: Spanned, name: str, at: Sequence[float]) -> Any:
    positions = np.asarray(spanned.geometry.positions)
    n_dims = 1 if positions.ndim == 1 else positions.shape[1]
    if len(at) != n_dims:
        raise ConfigError(
            f"A position on '{name}' has {n_dims} coordinate{'s' * (n_dims > 1)}.",
            where="--at",
            expected="--at T" if n_dims == 1 else "--at X,Y" + ",..." * (n_dims > 2),
            found=",".join(f"{x:g}" for x in at) or "none",
        )
    if n_dims == 1:
        _check_position("--at", at[0], 2)
        return at[0]
    return list(at)


def export_greedy_soup(
    config: Path, out: Path, *, root: str | Path | None = None, report: Report = print
) -> Path:
    """Write the greedy soup of an experiment's checkpoints (arXiv:2203.05482).

    Members are tried from the best one down; one stays where accuracy on the in-domain data set
    that makes the gaps is at least as high with it.
    """
    from landscape.run.inputs import open_experiment

    require_empty(Path(out))
    experiment = open_experiment(config, root=root)
    population = experiment.population()
    members = population.checkpoints
    [data] = [data for _, data in experiment.examples if data.name == experiment.gap_dataset]
    evaluator = experiment.evaluator(members[0], [data], n_points=2 * len(members))
    anchors = [member.params for member in members]

    def accuracy(row: np.ndarray) -> float:
        predictions = evaluator.evaluate(anchors, row[None])[data.name].predictions[0]
        return float((predictions == data.labels).mean())

    soup = soups.greedy(len(members), accuracy)
    chosen = [population.names[i] for i in np.flatnonzero(soup.coefficients)]
    report(f"greedy soup of {', '.join(chosen)}: accuracy {soup.score:.4f} on {data.name}")
    recipe = {"kind": "greedy soup", "chosen": chosen, "accuracy": soup.score, "on": data.name}
    return export_point(members, soup.coefficients, Path(out), recipe)


def read_numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"{option} takes numbers with commas between them.",
            where=option,
            expected="0.2,0.3,0.5",
            found=text,
        ) from None


def _check_position(option: str, t: float, n: int) -> None:
    if n != 2:
        raise ConfigError(
            f"{option} is a position between two checkpoints.",
            expected="two references",
            found=n,
            fix="for more of them, use --weights",
        )
    if not 0 <= t <= 1:
        raise ConfigError(
            "A position between two checkpoints lies from 0 to 1.",
            where=option,
            found=t,
            fix="for a point beyond the ends, use --weights, as --weights=-0.5,1.5",
        )
