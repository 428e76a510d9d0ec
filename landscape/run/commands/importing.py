"""``landscape import``: a published matrix as a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from landscape.core.errors import ConfigError
from landscape.run.commands.app import DataRoot, app, say

Several = list[str] | None


@app.command("import")
def import_store(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Logs of interpolation, their pickles, CSV."),
    ],
    out: Annotated[Path, typer.Option(help="The store to write; it must not exist.")],
    scores: Annotated[
        Several, typer.Option(help="CSV of scores, or predictions in JSON; repeatable.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The curves' data set, if their files do not say.")
    ] = None,
    challenge: Annotated[
        Several, typer.Option(metavar="NAME=PATH", help="Curves on a challenge set; repeatable.")
    ] = None,
    in_domain: Annotated[Several, typer.Option(help="An in-domain score; repeatable.")] = None,
    covariate: Annotated[Several, typer.Option(help="A score that explains; repeatable.")] = None,
    examples: Annotated[
        str | None, typer.Option(metavar="TASK:SET", help="What predictions are of.")
    ] = None,
    data_root: DataRoot = None,
    metric: Annotated[
        Literal["accuracy", "matthews"], typer.Option(help="Of predictions and pickles.")
    ] = "accuracy",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out models that do not match.")
    ] = False,
) -> None:
    """Read what others published, to cluster and relate it without a run.

    A CSV has a value a row and one of these headers:

    curves: model_a, model_b, t, loss (and accuracy or matthews, dataset)

    gaps: model_a, model_b, gap

    scores: model, score, value

    Losses and gaps are in nats; t is 0 at model_a and 1 at model_b.
    """
    from landscape.importers import import_published
    from landscape.tasks import data_root as find_root
    from landscape.tasks import load_examples, load_task

    curves: dict[str, list[str]] = {}
    for option in challenge or []:
        name, path = _two_parts(option.partition("="), "--challenge", "NAME=PATH")
        curves.setdefault(name, []).append(path)
    if twice := {*(in_domain or [])} & {*(covariate or [])}:
        where = "--in-domain, --covariate"
        raise ConfigError("A score has two roles.", where=where, found=", ".join(sorted(twice)))
    grouped = None
    if examples is not None:
        task, name = _two_parts(examples.rpartition(":"), "--examples", "TASK:SET, as mnli:hans")
        grouped = load_examples(load_task(task), name, find_root(data_root), Path())
    store = import_published(
        paths,
        out=out,
        scores=scores or (),
        dataset=dataset,
        challenge_losses=curves,
        roles=dict.fromkeys(in_domain or [], "in_domain")
        | dict.fromkeys(covariate or [], "covariate"),
        metric=metric,
        examples=grouped,
        allow_missing=allow_missing,
        report=say,
    )
    typer.echo(store)


def _two_parts(parts: tuple[str, str, str], option: str, expected: str) -> tuple[str, str]:
    """What stands before and after a sign."""
    if not parts[0] or not parts[2]:
        raise ConfigError(
            "The option needs two parts.", where=option, expected=expected, found="".join(parts)
        )
    return parts[0], parts[2]
