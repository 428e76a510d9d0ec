"""Commands that read stores and checkpoints, and write figures, pages and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape.core.errors import ConfigError
from landscape.run.commands.app import DataRoot, Store, app, quiet, say

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

Rule = Annotated[str | None, typer.Option(help="The barrier rule.")]
Focus = Annotated[str | None, typer.Option(help="The challenge group to show.")]
Formats = Annotated[
    str, typer.Option("--format", help="pdf, png, svg, vtp (surfaces); several with commas.")
]


@app.command()
def check(
    what: Annotated[list[str], typer.Argument(metavar="CONFIG.yaml|REF...|STORE [MODEL...]")],
    data_root: DataRoot = None,
) -> None:
    """Everything that can be known to fail, before hours of compute.

    Of a store: will these of its models average?
    """
    quiet()
    if what[0].endswith((".h5", ".hdf5")):
        from landscape.analysis.averaging import will_average

        analysis = analysis_of(Path(what[0]))
        typer.echo(will_average(analysis, what[1:] or None).reason)
        return
    from landscape.core.progress import bar
    from landscape.run.check import check_config, check_references

    if len(what) == 1 and what[0].endswith((".yaml", ".yml")):
        lines = check_config(Path(what[0]), root=data_root, track=bar)
    else:
        lines = check_references(what, bar)
    typer.echo("\n".join(lines))


@app.command()
def inspect(store: Store) -> None:
    """What a store holds, as a table."""
    from landscape.run.inspect import describe

    typer.echo(describe(store))


@app.command()
def figures(
    store: Store,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("figures"),
    formats: Formats = "pdf,png",
    rule: Rule = None,
    focus: Focus = None,
) -> None:
    """Draw the figures of a store."""
    from landscape.output.plots import write_figures, write_surfaces

    formats_there_are = ("pdf", "png", "svg", "vtp")
    chosen = tuple(part.strip() for part in formats.split(",") if part.strip())
    if not chosen or set(chosen) - set(formats_there_are):
        raise ConfigError(
            "A figure format is not known.",
            where="--format",
            expected=formats_there_are,
            found=formats,
        )
    analysis = analysis_of(store, rule, focus)
    paths = write_figures(analysis, out, [name for name in chosen if name != "vtp"])
    if "vtp" in chosen:
        paths += write_surfaces(analysis, out)
    for path in paths:
        typer.echo(path)


@app.command()
def report(
    store: Store,
    out: Annotated[Path | None, typer.Option(help="The HTML file; beside the store.")] = None,
    rule: Rule = None,
    focus: Focus = None,
) -> None:
    """Write one self-contained HTML page about a store."""
    from landscape.output.report import write_report

    page = out or store.with_name("report.html")
    typer.echo(write_report(analysis_of(store, rule, focus), page))


@app.command()
def export(
    refs: Annotated[
        list[str],
        typer.Argument(metavar="STORE|REF...", help="A store, or two checkpoints or more."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write: absent, or empty.")],
    at: Annotated[
        str | None,
        typer.Option(help="Of two: the t along their line, 0 to 1; of a store: T, or X,Y."),
    ] = None,
    of: Annotated[
        str | None, typer.Option(help="Of a store: the path or surface that the point lies on.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Of a store: the folder of the experiment's YAML.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="One for each, with commas; divided by their sum.")
    ] = None,
    control: Annotated[
        int | None, typer.Option(help="With --of: a control point by its number, from 0.")
    ] = None,
    soup: Annotated[
        str | None,
        typer.Option(help="uniform: the mean; the default. greedy: of an experiment's YAML."),
    ] = None,
    slerp: Annotated[
        float | None, typer.Option(help="Of two: the t of spherical interpolation, 0 to 1.")
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Write a point of weight space as a checkpoint directory."""
    quiet()
    from landscape.core.progress import bar
    from landscape.run.export import export as write
    from landscape.run.export import export_greedy_soup, export_stored, read_numbers

    position = None if at is None else read_numbers(at, "--at")
    if of is not None:
        if len(refs) != 1 or (position is None) == (control is None):
            raise ConfigError(
                "A point of a path or surface needs one store and a position.",
                expected="landscape export STORE --of NAME --at T (or --control N) --out DIR",
            )
        typer.echo(export_stored(refs[0], of, position, out, control=control, base=base))
        return
    if soup == "greedy" and len(refs) == 1 and refs[0].endswith((".yaml", ".yml")):
        typer.echo(export_greedy_soup(Path(refs[0]), out, root=data_root, report=say))
        return
    if position is not None and len(position) != 1:
        raise ConfigError("A position on a line is one number.", where="--at", found=at)
    typer.echo(
        write(
            refs,
            out,
            at=None if position is None else position[0],
            weights=None if weights is None else read_numbers(weights, "--weights"),
            soup=soup,
            slerp=slerp,
            track=bar,
        )
    )


@app.command()
def indicators() -> None:
    """What can be measured beside the losses, with options and sources."""
    quiet()
    from landscape.indicators import INDICATORS

    for name, kind in INDICATORS.items():
        options = ", ".join(f"{key}={field.default}" for key, field in kind.model_fields.items())
        source = f" ({kind.source})" if kind.source else ""
        typer.echo(f"{name}: {kind.text}{source}\n  options: {options}")


def analysis_of(store: Path, rule: str | None = None, focus: str | None = None) -> Analysis:
    """What a store says, by its own options or these."""
    from landscape.analysis.analysis import analysis_options, analyze
    from landscape.core.registry import load_plugins
    from landscape.records import read_store

    load_plugins()
    results = read_store(store)
    changes = {"rule": rule, "focus": focus}
    options = analysis_options(results) | {key: value for key, value in changes.items() if value}
    return analyze(results, **options)
