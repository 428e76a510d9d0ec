"""What ``landscape export`` does: from references and a recipe to a checkpoint directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landscape.checkpoints import Checkpoint, expand, load_checkpoint, load_population, soups
from landscape.checkpoints.export import export_point, require_empty
from landscape.core.errors import ConfigError, require_known
from landscape.core.progress import Track, silent


def export(
    refs: Sequence[str],
    out: str | Path,
    *,
    at: float | None = None,
    weights: Sequence[float] | None = None,
    soup: str | None = None,
    slerp: float | None = None,
    base: Path | None = None,
    track: Track[Checkpoint] = silent,
) -> Path:
    """Write a point of weight space between checkpoints as a checkpoint directory.

    At most one of ``at``, ``weights``, ``soup`` and ``slerp``; without any, the uniform soup. The
    head's rows stand in the first checkpoint's order of labels.

    Args:
        refs: Two checkpoints or more, globs among them.
        out: The folder: absent, or empty.
        at: Of two: the t along their line, from 0 (the first) to 1 (the second).
        weights: One for each checkpoint, divided by their sum.
        soup: ``uniform``, the mean.
        slerp: Of two: the t of spherical interpolation, by the angle of the whole models.
        base: The folder that relative references start from.
        track: Shows how far the reading is.

    Returns:
        ``out``.

    Raises:
        ConfigError: More than one recipe, or one that does not fit so many checkpoints.
        CheckpointError: Checkpoints that cannot be compared, or an ``out`` that is not empty.
    """
    given = {"at": at, "weights": weights, "soup": soup, "slerp": slerp}
    asked = [name for name, value in given.items() if value is not None]
    if len(asked) > 1:
        raise ConfigError(
            "More than one recipe is given.",
            expected="one of --at, --weights, --soup and --slerp",
            found=" and ".join(f"--{name}" for name in asked),
        )
    if soup is not None:
        require_known(
            "soup",
            soup,
            ["uniform"],
            where="--soup",
            also="; landscape.checkpoints.soups.greedy needs scores",
        )
    sources = expand(refs, base)
    for option, t in (("--at", at), ("--slerp", slerp)):
        if t is not None:
            _check_position(option, t, len(sources))
    if weights is not None and len(weights) != len(sources):
        raise ConfigError(
            "There must be a weight for each checkpoint.",
            where="--weights",
            expected=f"{len(sources)} numbers",
            found=f"{len(weights)}",
        )
    require_empty(Path(out))
    labels = load_checkpoint(sources[0]).label_names
    members = load_population(refs, labels, base=base, track=track).checkpoints
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
    at: Sequence[float],
    out: str | Path,
    *,
    base: Path | None = None,
) -> Path:
    """Write a point of a path or a surface that a store holds as a checkpoint directory.

    Args:
        store: The file; control points are read from the folder ``control_points`` beside it.
        name: Of the path or surface.
        at: The t of a curve, x and y of a surface.
        out: The folder: absent, or empty.
        base: The folder that the store's relative references start from: the experiment's.

    Returns:
        ``out``.

    Raises:
        LandscapeError: No such store, path or checkpoint; a checkpoint that has changed since.
    """
    from landscape.records import read_store
    from landscape.run.measure.other_paths import stored_points

    results = read_store(store)
    require_known("path or surface", name, results.points, where="--of")
    stored = results.points[name]
    n_dims = stored.positions.shape[1]
    if len(at) != n_dims:
        raise ConfigError(
            f"A position on '{name}' has {n_dims} coordinate{'s' * (n_dims > 1)}.",
            where="--at",
            expected="--at T" if n_dims == 1 else "--at X,Y",
            found=",".join(f"{x:g}" for x in at),
        )
    if n_dims == 1:
        _check_position("--at", at[0], 2)
    require_empty(Path(out))
    models = stored.notes["models"]
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
    folder = results.path.parent / "control_points" / name
    spanned = stored_points(stored, [member.params for member in members], folder)
    position = at[0] if n_dims == 1 else list(at)
    row = spanned.basis([position])[0]
    recipe = {"kind": stored.kind, "of": name, "at": list(at), "models": models}
    return export_point(spanned.anchors, row, Path(out), recipe, like=members[0])


def read_numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between them.

    Raises:
        ConfigError: Something is not a number.
    """
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
