"""Where the numbers come from, and how to get them again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import yaml

from landscape import __version__
from landscape.output.report.registry import Body, section
from landscape.output.words import rule_name

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@section("provenance", title="Provenance", place=110)
def provenance(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """What made the store, and what was computed from it."""
    results = analysis.results
    noted = [(name.replace("-", " "), str(value)) for name, value in results.attributes.items()]
    facts = [
        ("store", results.path.name),
        *noted,
        ("read by", f"landscape {__version__}"),
        ("rule", rule_name(analysis)),
        ("data set of the gaps", analysis.dataset),
        ("focus", analysis.focus or "none"),
        ("resamples", f"{analysis.gaps.n_resamples:,}"),
        ("confidence", f"{analysis.gaps.confidence:g}"),
    ]
    return Body(facts=tuple(facts))


@section("reproduce", title="How to reproduce", place=120)
def reproduce(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Commands and configuration."""
    store = shlex.quote(analysis.results.path.name)
    commands = (
        "landscape run config.yaml           # measure, cluster, relate, draw",
        f"landscape figures {store} --out figures --format pdf,png,svg",
        f"landscape report {store}",
    )
    config = yaml.safe_dump(analysis.results.config, sort_keys=False, allow_unicode=True, width=100)
    return Body(
        paragraphs=("With the configuration below in config.yaml:",),
        code=(("", "\n".join(commands)), ("Configuration", config)),
    )
