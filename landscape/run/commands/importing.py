"""``landscape import``: a published matrix as a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from landscape.core.errors import ConfigError
from landscape.run.commands.app import app


@app.command("import")
def import_store(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Logs of interpolation, their pickles, CSV of curves or gaps: files or folders.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The store to write; it must not exist.")],
    scores: Annotated[
        list[str] | None,
        typer.Option(help="CSV of scores, or a folder of predictions in JSON; may be repeated."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The curves' data set, if their files do not say.")
    ] = None,
    challenge: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="Curves on a challenge set; may be repeated."),
    ] = None,
    in_domain: Annotated[
        list[str] | None, typer.Option(help="A score that is in-domain; may be repeated.")
    ] = None,
    covariate: Annotated[
        list[str] | None, typer.Option(help="A score that explains; may be repeated.")
    ] = None,
    examples: Annotated[
        str | None,
        typer.Option(metavar="TASK:SET", help="What predictions are of, for its groups."),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where data files lie (or the LANDSCAPE_DATA variable)."),
    ] = None,
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
        name, _, path = option.partition("=")
        if not name or not path:
            raise ConfigError(
                "A challenge set needs a name and a path.",
                expected="NAME=PATH",
                where="--challenge",
                found=option,
            )
        curves.setdefault(name, []).append(path)
    if twice := set(in_domain or []) & set(covariate or []):
        raise ConfigError(
            "A score has two roles.",
            where="--in-domain, --covariate",
            found=", ".join(sorted(twice)),
        )
    grouped = None
    if examples is not None:
        task, _, name = examples.rpartition(":")
        if not task or not name:
            raise ConfigError(
                "Examples need a task and a set of it.",
                where="--examples",
                expected="TASK:SET, as mnli:hans",
                found=examples,
            )
        grouped = load_examples(load_task(task), name, find_root(data_root), Path())
    store = import_published(
        paths,
        out=out,
        scores=scores or None,
        dataset=dataset,
        challenge_losses=curves,
        roles={
            **dict.fromkeys(in_domain or [], "in_domain"),
            **dict.fromkeys(covariate or [], "covariate"),
        },
        metric=metric,
        examples=grouped,
        allow_missing=allow_missing,
        report=lambda line: typer.echo(line, err=True),
    )
    typer.echo(store)
