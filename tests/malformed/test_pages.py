"""Names and texts that are HTML, scripts, formulas: report and figures show them as text."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable

import pytest

from tests.malformed.inputs import Inputs, edit_json

PAYLOAD = (
    "<script>a()</script>\"><img src=x onerror='a'></p>--><svg onload=a>"
    '=cmd|"/c calc"!A1 {{ 7 * 7 }}{% for x in y %}'
    r"a_$\frac{1}{$ ^b"  # TeX that does not close
)
NAME = PAYLOAD.replace("/", "|")  # of files and data sets


@pytest.mark.slow
def test_free_names_and_texts_are_shown_as_they_are(
    inputs: Inputs, command: Callable[..., str]
) -> None:
    labels = [f"{PAYLOAD} no", f"{PAYLOAD} yes"]
    for member in inputs.members():
        edit_json(member / "config.json", {"id2label": dict(enumerate(labels))})
        member.rename(member.with_name(f"{NAME} {member.name}"))
    rows = [[f"{PAYLOAD} {k}", labels[k % 2], f"{PAYLOAD} {k % 3}"] for k in range(24)]
    lines = ["\t".join(row) for row in [["text", "label", PAYLOAD], *rows]]
    config = inputs.config(checkpoints="population/*", analysis={"n_resamples": 100})
    inputs.write("task/x.tsv", "\n".join(lines))
    inputs.task(
        labels=labels,
        in_domain={f"{NAME} dev": {"file": "x.tsv"}},
        challenge={f"{NAME} hard": {"file": "x.tsv", "groups": [PAYLOAD]}},
    )
    command("run", config)
    (path,) = inputs.out.rglob("report.html")
    page = path.read_text()
    pictures = re.findall('svg\\+xml;base64,([^"]+)', page)
    assert pictures
    for text in (page, *(base64.b64decode(picture).decode() for picture in pictures)):
        assert text.count("<script") == (text is page)
        assert "<img src=x" not in text
        assert "<svg onload" not in text
    assert PAYLOAD in html.unescape(page)
    assert NAME in html.unescape(page)
