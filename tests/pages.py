"""The report's page as a tree of words, and diagnostics that take no seconds."""

from __future__ import annotations

import re
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest

from landscape.analysis import diagnostics
from landscape.analysis.analysis import Analysis
from landscape.analysis.diagnostics import Diagnostics
from landscape.analysis.sources import Source
from landscape.output.report import page, render_report

_VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """A page's tree, checked while it is read: what opens must close, in order.

    Attributes:
        rows: From a section's id to the cells of all rows of its tables.
        facts: From a section's id to its single numbers by name.
        said: From a section's id to its words outside tables.
        warnings: What is to be read with care.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.cells: list[list[str]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.facts: dict[str, dict[str, str]] = {}
        self.said: dict[str, str] = {}
        self.warnings: list[str] = []
        self._section = self._fact = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        assert len(dict(attrs)) == len(attrs)
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
            self.rows[self._section], self.facts[self._section] = [], {}
            self.said[self._section] = ""
        if tag == "tr":
            self.cells.append([])
            self.rows[self._section].append(self.cells[-1])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag == "dt":
            self._fact = ""
        if tag == "li" and self._section == "warnings" and "nav" not in self.open:
            self.warnings.append("")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open or "style" in self.open:
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data
        elif self._section:
            self.said[self._section] += f"{data} "
        if "dt" in self.open:
            self._fact += data
        if "li" in self.open and "nav" not in self.open:
            self.warnings[-1] += data
        if "dd" in self.open and self._section:
            own = self.facts[self._section]
            own[self._fact] = own.get(self._fact, "") + data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def row(self, section: str, first: str) -> list[str]:
        """The one row of a section that begins with this cell."""
        (found,) = [row for row in self.rows[section] if row and row[0] == first]
        return found

    def table(self, section: str, head: str) -> list[list[str]]:
        """The rows of the section's table whose heading begins so, the heading first."""
        rows = self.rows[section]
        widths = [len(row) for row in rows]
        (start,) = [k for k, row in enumerate(rows) if row and row[0] == head]
        end = next((k for k in range(start, len(rows)) if widths[k] != widths[start]), len(rows))
        return rows[start:end]


def two_sources(analysis: Analysis, rng: int) -> tuple[Source, Source]:
    """The gaps themselves, and a score: sources whose groups take no time to find."""
    groups, data = analysis.basins.groups, analysis.dataset
    score = analysis.scores.iloc[:, -1].to_numpy(dtype=float)
    half = (score > np.median(score)).astype(np.intp)
    own = f"{analysis.rule.replace('_', ' ')} on {data}"
    gaps = np.maximum(analysis.gaps.estimate, 0), groups.n_groups, groups.labels, groups.labels
    apart = np.abs(score[:, None] - score), int(half.max()) + 1, half, half
    return (
        Source(own, *gaps, analysis.rule, data, ""),
        Source("score", *apart, "score", "", "not in nats"),
    )


def make_diagnostics(analysis: Analysis) -> Diagnostics:
    """As ``diagnose``, with few permutations and few sources."""
    few = {
        "clustering": {"n_draws": 20},
        "compare_partitions": {"n_resamples": 99},
        "matrix_agreement": {"n_resamples": 99},
        "explain": {"n_permutations": 99},
        "pair_regression": {"n_permutations": 99},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnostics, "partition_sources", two_sources)
        for name, options in few.items():
            patch.setattr(diagnostics, name, partial(getattr(diagnostics, name), **options))
        return diagnostics.diagnose(analysis)


def page_of(analysis: Analysis, known: Diagnostics | None = None, *, drawn: bool = False) -> Page:
    """The page; without its figures, which take longest, unless they are asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if not drawn:
            patch.setattr(page, "figures_of", lambda analysis: [])
        return Page(render_report(analysis, known or make_diagnostics(analysis)))
