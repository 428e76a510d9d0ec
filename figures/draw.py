"""Draw the figures of every store in this folder again: python figures/draw.py."""

from pathlib import Path

from landscape.analysis.analysis import analysis_options, analyze
from landscape.output.plots import write_figures
from landscape.records import read_store

for store in sorted(Path(__file__).parent.glob("*.h5")):
    results = read_store(store)
    for path in write_figures(
        analyze(results, **analysis_options(results)), store.with_suffix(""), ("pdf", "png")
    ):
        print(path)
