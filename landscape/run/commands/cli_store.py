"""``landscape repair`` and ``landscape merge``: stores that broke, or that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def repair_store(
    store: Annotated[Path, typer.Argument(help="The store, an HDF5 file.")],
) -> None:
    """Mend a damaged store; all that is sound stays, and the damaged file is kept beside it."""
    from landscape.records.repair import repair

    made = repair(store)
    if made.original is None:
        typer.echo(f"{store}: nothing is damaged")
        return
    typer.echo(f"damaged in {store}:", err=True)
    for line in made.damaged:
        typer.echo(f"  {line}", err=True)
    typer.echo(
        f"{store}: mended; {made.pairs} pairs are measured; to be measured again: {made.lost} "
        f"(pairs, models, points); the damaged file is {made.original}"
    )


def merge_stores(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Of one experiment.")],
    out: Annotated[Path, typer.Option(help="The store to write; it must not exist.")],
) -> None:
    """Unite stores of one experiment, made in shards or on several machines."""
    from landscape.records.merge import merge

    made = merge(stores, out)
    typer.echo(
        f"{out}: {made.measured} of {made.pairs} pairs measured, {made.models} models; "
        f"{made.twice} measured more than once, apart by up to {made.difference:.2g} nats"
    )
