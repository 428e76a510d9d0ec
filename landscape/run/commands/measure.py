"""Commands that compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from landscape.run.commands.app import Config, DataRoot, app, quiet, resumable, say


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("landscape-demo"),
    seed: Annotated[int, typer.Option(help="Of data, encoder and examples.")] = 0,
) -> None:
    """The whole story on embedded data: train, measure, cluster, relate, draw."""
    quiet()
    from landscape.run.commands.read import analysis_of
    from landscape.run.demo import make_demo
    from landscape.run.inputs import open_experiment
    from landscape.run.pipeline import draw, measure

    lines = []
    with resumable():
        for config in make_demo(out, say, seed=seed):
            say(f"-- landscape run {config}")
            experiment = open_experiment(config)
            store, folder = experiment.store, experiment.out
            analysis = draw(store, folder, say, analysis=measure(experiment, say))
            shown = analysis or analysis_of(store)
            lines.append(f"{config.stem}: {' '.join(shown.answer)}\n  {folder / 'report.html'}")
    typer.echo("\n".join(lines))


@app.command()
def run(
    config: Config,
    data_root: DataRoot = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write to.")] = None,
    pairs: Annotated[
        Literal["all", "active"] | None,
        typer.Option(help="all, or active: only those that decide something; as the file says."),
    ] = None,
    executor: Annotated[
        Literal["local", "process", "ray"],
        typer.Option(help="local: in this process; process: one a GPU; ray: a cluster."),
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Of process and ray: as many as GPUs, on CPUs two.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster, or auto; one is started here if absent.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: only the I-th of N shards of the pairs, for landscape merge."),
    ] = None,
) -> None:
    """Evaluate, cluster, relate, draw; an unfinished run is resumed."""
    quiet()
    from landscape.run.pipeline import run_experiment
    from landscape.run.workers import Workers, read_shard

    chosen = Workers(executor, workers, address)
    part = None if shard is None else read_shard(shard)
    changes = {} if pairs is None else {"pairs": pairs}
    with resumable():
        store = run_experiment(
            config, root=data_root, out=out, changes=changes, workers=chosen, shard=part, report=say
        )
    typer.echo(store)


@app.command()
def finetune(config: Config, data_root: DataRoot = None) -> None:
    """Make a population: many seeds from one pretrained encoder; an unfinished one goes on."""
    quiet()
    from landscape.tasks import data_root as find_root
    from landscape.training.finetune import finetune as train
    from landscape.training.finetune import load_finetune_config

    settings = load_finetune_config(config)
    base = config.absolute().parent
    configured = base / settings.data_root if settings.data_root else None
    with resumable():
        members = train(settings, base, report=say, data=find_root(data_root or configured))
    typer.echo("\n".join(map(str, members)))


@app.command()
def repair(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the store in it.")],
) -> None:
    """Delete damaged records, and write the store from the others."""
    from landscape.records.collect import done_pairs
    from landscape.records.folder import RunFolder
    from landscape.records.repair import repair as mend

    damaged, folder = mend(run), RunFolder(run)
    if not damaged:
        typer.echo(f"{run}: nothing is damaged")
        return
    say("damaged, and deleted:")
    for path in damaged:
        say(f"  {path}")
    n = len(done_pairs(folder))
    typer.echo(f"{folder.store}: {n} pairs are measured; 'landscape run' measures the rest")


@app.command()
def merge(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of one experiment, or stores.")
    ],
    out: Annotated[Path, typer.Option(help="The folder, or the store, to write: not there yet.")],
) -> None:
    """Unite runs of one experiment, made in shards or on several machines."""
    from landscape.records.merge import merge as unite

    merged = unite(runs, out)
    results = merged.results
    typer.echo(
        f"{results.path}: {results.status.sum()} of {len(results.pairs)} pairs measured, "
        f"{len(results.models)} models; {merged.twice} records more than once, apart by up to "
        f"{merged.difference:.2g} nats"
    )
