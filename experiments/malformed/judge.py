"""Whether a command did what a malformed input asks for: one error, and nothing else."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from cases import Case, Room
from corpus import room_of
from sandbox import Outcome, Sandbox

SECONDS = 60.0
PEAK_MB = 2048
_MAX_ERROR = 10_000  # characters of a readable message
_TAGS = (
    "a body caption code dd details div dl dt figcaption figure h1 h2 h3 head header html img li "
    "main meta nav p pre script section small span style summary table tbody td th thead title tr "
    "ul"
)
_ATTRIBUTES = (
    "alt aria-label charset class content data-key height href http-equiv id lang name role scope "
    "src tabindex title width"
)
_INSIDE = ("#", "data:image/png;base64,")
_ADDRESSES = ("#", "https://arxiv.org/abs/", "data:image/svg+xml;base64,")


@dataclass(frozen=True)
class Result:
    """One case's outcome; ``failures`` says what should have been otherwise."""

    kind: str
    name: str
    command: str
    code: int | None
    seconds: float
    peak_mb: float
    first_line: str
    failures: tuple[str, ...]


def judge(number: int, case: Case, work: Path, sandbox: Sandbox) -> Result:
    """Make the input, run the command, and see."""
    room, arguments = room_of(number, case, work, work / "materials")
    outcome = sandbox.run(
        arguments,
        folder=room.inside,
        temporary=room.path / "tmp",
        writable=[room.out, work / "cache", work / "home"],
        watched=room.path,
        seconds=SECONDS,
    )
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    command = shlex.join(["landscape", *arguments]).replace(str(room.path), "")
    return Result(
        kind=case.kind,
        name=case.name,
        command=command if len(command) < 200 else f"{command[:199]}…",
        code=outcome.code,
        seconds=outcome.seconds,
        peak_mb=outcome.peak_mb,
        first_line=errors[0].removeprefix("error: ") if errors else "",
        failures=tuple(_failures(case, room, outcome, errors)),
    )


def _failures(case: Case, room: Room, outcome: Outcome, errors: list[str]) -> list[str]:
    found = []
    if outcome.code is None:
        found.append("stopped at the time limit")
    elif outcome.code != case.code:
        found.append(f"exit code {outcome.code}: {_last(outcome.err)}")
    if "Traceback" in outcome.err:
        found.append("a traceback")
    if len(errors) != (case.code == 2):
        found.append(f"{len(errors)} errors")
    if len(outcome.err) > _MAX_ERROR:
        found.append(f"{len(outcome.err)} characters on standard error")
    if re.search(r"[^\x20-\x7e\n\r\t\u00a0-\U0010ffff]", outcome.err):
        found.append("control characters on standard error")
    if outcome.peak_mb > PEAK_MB:
        found.append(f"{outcome.peak_mb:.0f} MB")
    if room.canary.exists():
        found.append("code was run")
    if "THE SECRET" in outcome.out + outcome.err:
        found.append("a file outside of the input was shown")
    if case.code == 2 and case.expected not in outcome.err:
        found.append(f"'{case.expected}' is not said: {outcome.err[:300]!r}")
    if case.code == 2 and [path for path in room.out.rglob("*") if path.is_file()]:
        found.append("output was written")
    found += outcome.touched
    if case.kind == "page" and outcome.code == 0:
        found += _page_failures(case, room.out)
    return found


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")[:300]


class _Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.odd: list[str] = []
        self.scripts = 0
        self.text = ""
        self.images: list[bytes] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag not in _TAGS.split():
            self.odd.append(f"the tag {tag}")
        for name, value in attrs:
            if name.startswith("on") or name not in _ATTRIBUTES.split():
                self.odd.append(f"the attribute {name}")
            if name in ("href", "src") and not (value or "").startswith(_ADDRESSES):
                self.odd.append(f"the address {(value or '')[:50]}")
            if name == "src":
                self.images.append(base64.b64decode((value or "").partition(",")[2]))

    def handle_data(self, data: str) -> None:
        self.text += data


def _page_failures(case: Case, out: Path) -> list[str]:
    """What stands on a page or in a drawing that is not text where it should be."""
    found = []
    drawings = [path.read_bytes() for path in out.rglob("*.svg")]
    for path in out.rglob("*.html"):
        page = _Page(path.read_text())
        found += page.odd
        if page.scripts != 1:
            found.append(f"{page.scripts} scripts")
        if case.expected not in page.text:
            found.append("the text is not on the page")
        drawings += page.images
    if not drawings:
        found.append("nothing was drawn")
    for drawing in drawings:
        found += _drawing_failures(drawing)
    return found


def _drawing_failures(content: bytes) -> list[str]:
    found = []
    for element in ElementTree.fromstring(content).iter():
        tag = str(element.tag).rpartition("}")[2]
        if tag in ("script", "foreignObject", "iframe", "img", "a", "animate"):
            found.append(f"the tag {tag} in a drawing")
        for key, value in element.attrib.items():
            name = key.rpartition("}")[2]
            if name.startswith("on") or (name == "href" and not value.startswith(_INSIDE)):
                found.append(f"the attribute {name} in a drawing")
    return found
