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
        typer.Option(help="CSV or JSON of scores, or a folder of predictions; may be repeated."),
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
    metric: Annotated[str, typer.Option(help="accuracy or matthews.")] = "accuracy",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out models that do not match.")
    ] = False,
) -> None:
    """Read what others published, to cluster and relate it without a run."""
    from landscape.importers.load import import_published
    from landscape.tasks import data_root as find_root
    from landscape.tasks import load_examples, load_task

    curves: dict[str, list[str]] = {}
    for each in challenge or []:
        name, found, path = each.partition("=")
        if not found or not name or not path:
            raise ConfigError(
                "A challenge set needs a name and a path.",
                expected="NAME=PATH",
                where="--challenge",
                found=each,
            )
        curves.setdefault(name, []).append(path)
    if twice := set(in_domain or []) & set(covariate or []):
        raise ConfigError(
            "A score has two roles.",
            where="--in-domain, --covariate",
            found=", ".join(sorted(twice)),
        )
    known: Literal["accuracy", "matthews"]
    if metric == "accuracy":
        known = "accuracy"
    elif metric == "matthews":
        known = "matthews"
    else:
        raise ConfigError(
            "The metric is not known.",
            where="--metric",
            found=metric,
            expected="accuracy or matthews",
        )
    own = None
    if examples is not None:
        task, found, name = examples.rpartition(":")
        if not found or not task or not name:
            raise ConfigError(
                "Examples need a task and a set of it.",
                where="--examples",
                expected="TASK:SET, as mnli:hans",
                found=examples,
            )
        own = load_examples(load_task(task), name, find_root(data_root), Path())
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
        metric=known,
        examples=own,
        allow_missing=allow_missing,
        report=lambda line: typer.echo(line, err=True),
    )
    typer.echo(store)
