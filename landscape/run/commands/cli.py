"""The command line: exit code 0, 2 for the user's mistakes, 1 for ours."""

from __future__ import annotations

import errno
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer, main_thread
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from landscape.core.errors import ConfigError, LandscapeError
from landscape.run.commands.cli_import import import_store
from landscape.run.commands.cli_store import merge_stores, repair_store

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

# what the user can mend where a path cannot be read or written
_BLOCKED = {
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP,
    errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS,
}  # fmt: skip

app = typer.Typer(
    help="Loss landscapes and basins of finetuned text classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Config = Annotated[Path, typer.Argument(help="The experiment's YAML file.")]
Store = Annotated[Path, typer.Argument(help="The store, an HDF5 file.")]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", help="Where data files lie (or the LANDSCAPE_DATA variable)."),
]
Formats = Annotated[
    str, typer.Option("--format", help="pdf, png, svg, vtp (surfaces); several with commas.")
]


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("landscape-demo"),
    seed: Annotated[int, typer.Option(help="Of data, encoder and examples.")] = 0,
) -> None:
    """The whole story on embedded data: train, measure, cluster, relate, draw."""
    _quiet()
    from landscape.run.demo import make_demo
    from landscape.run.pipeline import run_experiment

    lines = []
    with _resumable():
        for config in make_demo(out, _say, seed=seed):
            _say(f"-- landscape run {config}")
            store = run_experiment(config, report=_say)
            reason = _analysis(store, None, None).basins.evidence.reason
            lines.append(f"{config.stem}: {reason}\n  {store.with_name('report.html')}")
    typer.echo("\n".join(lines))


@app.command()
def run(
    config: Config,
    data_root: DataRoot = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write to.")] = None,
    pairs: Annotated[
        str | None,
        typer.Option(help="all, or active: only those that decide something; as the file says."),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="local: in this process; process: one a GPU; ray: a cluster.")
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
    """Evaluate, cluster, relate, draw; an unfinished store is resumed."""
    _quiet()
    if pairs not in (None, "all", "active"):
        raise ConfigError(
            "Which pairs to measure?", where="--pairs", expected="all or active", found=pairs
        )
    from landscape.run.measurement.crew import Crew, read_shard
    from landscape.run.pipeline import run_experiment

    crew = Crew(executor, workers, address)  # type: ignore[arg-type]
    part = None if shard is None else read_shard(shard)
    changes = {} if pairs is None else {"pairs": pairs}
    with _resumable():
        store = run_experiment(
            config, root=data_root, out=out, changes=changes, crew=crew, shard=part, report=_say
        )
    typer.echo(store)


@app.command()
def check(
    what: Annotated[list[str], typer.Argument(metavar="CONFIG.yaml|REF...|STORE [MODEL...]")],
    data_root: DataRoot = None,
) -> None:
    """Everything that can be known to fail, before hours of compute.

    Of a store: will these of its models average?
    """
    _quiet()
    if what[0].endswith((".h5", ".hdf5")):
        from landscape.analysis.averaging import will_average

        analysis = _analysis(Path(what[0]), None, None)
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
    rule: Annotated[str | None, typer.Option(help="The barrier rule.")] = None,
    focus: Annotated[str | None, typer.Option(help="The challenge group to show.")] = None,
) -> None:
    """Draw the figures of a store."""
    from landscape.output.plots import write_figures, write_surfaces

    known = ("pdf", "png", "svg", "vtp")
    chosen = tuple(part.strip() for part in formats.split(",") if part.strip())
    if not chosen or set(chosen) - set(known):
        raise ConfigError(
            "A figure format is not known.", where="--format", expected=known, found=formats
        )
    analysis = _analysis(store, rule, focus)
    paths = write_figures(analysis, out, [name for name in chosen if name != "vtp"])
    if "vtp" in chosen:
        paths += write_surfaces(analysis, out)
    for path in paths:
        typer.echo(path)


@app.command()
def report(
    store: Store,
    out: Annotated[Path | None, typer.Option(help="The HTML file; beside the store.")] = None,
    rule: Annotated[str | None, typer.Option(help="The barrier rule.")] = None,
    focus: Annotated[str | None, typer.Option(help="The challenge group to show.")] = None,
) -> None:
    """Write one self-contained HTML page about a store."""
    from landscape.output.report import write_report

    page = out or store.with_name("report.html")
    typer.echo(write_report(_analysis(store, rule, focus), page))


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
        str | None, typer.Option(help="Of a store: the way or surface that the point lies on.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Of a store: the folder of the experiment's YAML.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="One for each, with commas; divided by their sum.")
    ] = None,
    soup: Annotated[str | None, typer.Option(help="uniform: the mean; the default.")] = None,
    slerp: Annotated[
        float | None, typer.Option(help="Of two: the t of spherical interpolation, 0 to 1.")
    ] = None,
) -> None:
    """Write a point of weight space as a checkpoint directory."""
    _quiet()
    from landscape.core.progress import bar
    from landscape.run.export import export as write
    from landscape.run.export import export_stored, read_numbers

    position = None if at is None else read_numbers(at, "--at")
    if of is not None:
        if len(refs) != 1 or position is None:
            raise ConfigError(
                "A point of a way or surface needs one store and a position.",
                expected="landscape export STORE --of NAME --at T --out DIR",
            )
        typer.echo(export_stored(refs[0], of, position, out, base=base))
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
def finetune(config: Config, data_root: DataRoot = None) -> None:
    """Make a population: many seeds from one pretrained encoder; an unfinished one goes on."""
    _quiet()
    from landscape.tasks import data_root as find_root
    from landscape.training.finetune import finetune as train
    from landscape.training.finetune import load_finetune_config

    settings = load_finetune_config(config)
    base = config.absolute().parent
    own = base / settings.data_root if settings.data_root else None
    with _resumable():
        members = train(settings, base, report=_say, data=find_root(data_root or own))
    typer.echo("\n".join(map(str, members)))


app.command("import")(import_store)
app.command("repair")(repair_store)
app.command("merge")(merge_stores)


class _Terminated(BaseException):
    """SIGTERM, as batch systems send it before they kill."""


@contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C, or a batch system's end of time, says how to go on."""
    timers: list[Timer] = []
    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook

    def terminate(*_: object) -> NoReturn:
        raise _Terminated

    def drop(dropped: sys.UnraisableHookArgs) -> None:
        kinds = {_Terminated: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}
        if dropped.exc_type not in kinds:
            hook(dropped)
            return
        # it came within a callback of Python's memory, where nothing can be raised: once more
        to = main_thread().ident
        timers.append(Timer(0.05, signal.pthread_kill, [to, kinds[dropped.exc_type]]))
        timers[-1].start()

    signal.signal(signal.SIGTERM, terminate)
    sys.unraisablehook = drop
    try:
        yield
    except (KeyboardInterrupt, _Terminated) as stopped:
        _say("\nStopped. What was finished is kept; the same command goes on from there.")
        raise typer.Exit(143 if isinstance(stopped, _Terminated) else 130) from None
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def _analysis(store: Path, rule: str | None, focus: str | None) -> Analysis:
    from landscape.analysis.analysis import analysis_options, analyze
    from landscape.records.store import read_store

    contents = read_store(store)
    options = analysis_options(contents)
    return analyze(
        contents,
        **{**options, **({"rule": rule} if rule else {}), **({"focus": focus} if focus else {})},
    )


def _quiet() -> None:
    """Keep other libraries' bars and reports out of ours."""
    import os

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):  # paths need not be text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except LandscapeError as error:
        _fail(error)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if error.errno not in _BLOCKED:
            raise
        _fail(
            LandscapeError(
                "A file or folder cannot be used.",
                where=error.filename,
                found=error.strerror,
                fix="check the path, who may write there, and the room on the disk",
            )
        )


def _fail(error: LandscapeError) -> NoReturn:
    """Say it in lines that a terminal can show, whatever names and texts they quote."""
    plain = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(error))
    lines = [f"{line[:2000]}..." if len(line) > 2000 else line for line in plain.split("\n")[:200]]
    _say("error: " + "\n".join(lines))
    sys.exit(2)
