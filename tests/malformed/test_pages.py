"""Names and texts that are HTML, scripts, formulas: report and figures show them as text."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.malformed.inputs import Inputs, edit_json

Command = Callable[..., str]
PAYLOADS = {
    "HTML and templates": "<script>a()</script>\"><img src=x onerror='a'></p>--><svg onload=a>"
    '=cmd|"/c calc"!A1 {{ 7 * 7 }}{% for x in y %}',
    "TeX that does not close": r"a_$\frac{1}{$ ^b",
}
ADDRESSES = ("#", "https://arxiv.org/abs/", "data:image/svg+xml;base64,")


class Page(HTMLParser):
    """The names of a page's tags and attributes, its addresses and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.scripts = 0
        self.addresses: list[str] = []
        self.text = ""
        self.feed(path.read_text())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(f"{name}=" for name, _ in attrs)}
        self.scripts += tag == "script"
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def drawn(self) -> set[str]:
        """The names of tags and attributes within its pictures."""
        pictures = [address.split(",")[1] for address in self.addresses if "svg+xml" in address]
        assert pictures
        trees = [ElementTree.fromstring(base64.b64decode(picture)) for picture in pictures]
        return {name for tree in trees for e in tree.iter() for name in (str(e.tag), *e.attrib)}

    def handle_data(self, data: str) -> None:
        self.text += data


def _measured(inputs: Inputs, command: Command, payload: str) -> Page:
    """The page of an experiment in which all names and texts that are free hold the payload."""
    name = payload.replace("/", "|")
    labels = [f"{payload} no", f"{payload} yes"]
    for member in inputs.members():
        edit_json(member / "config.json", {"id2label": dict(enumerate(labels))})
        member.rename(member.with_name(f"{name} {member.name}"))
    rows = [[f"{payload} {k}", labels[k % 2], f"{payload} {k % 3}"] for k in range(24)]
    lines = ["\t".join(row) for row in [["text", "label", payload], *rows]]
    config = inputs.config(checkpoints="population/*", analysis={"n_resamples": 100})
    inputs.write("task/x.tsv", "\n".join(lines))
    inputs.task(
        labels=labels,
        in_domain={f"{name} dev": {"file": "x.tsv"}},
        challenge={f"{name} hard": {"file": "x.tsv", "groups": [payload]}},
    )
    command("run", config)
    (path,) = inputs.out.rglob("report.html")
    return Page(path)


@pytest.mark.slow
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_measured(payload: str, inputs: Inputs, command: Command) -> None:
    """As the same experiment shows words."""
    other = Inputs(inputs.root / "in" / "plain", inputs.materials)
    plain = _measured(other, command, "plain")
    page = _measured(inputs, command, payload)
    assert page.names <= plain.names
    assert page.scripts == plain.scripts == 1
    assert all(address.startswith(ADDRESSES) for address in page.addresses)
    assert page.drawn() <= plain.drawn()
    assert payload in page.text
    assert payload.replace("/", "|") in page.text
