"""Files that are no store, or a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from landscape.importers import import_published
from tests.malformed.inputs import Inputs
from tests.malformed.test_published import CURVES

Refused = Callable[..., None]


@pytest.fixture
def store(inputs: Inputs) -> Path:
    """Of curves that were imported."""
    curves = inputs.write("x.csv", CURVES.replace("a,b,", "model-a,model-b,"))
    path = inputs.root / "in" / "store.h5"
    import_published(curves, out=path, dataset="dev")
    return path


ARRAY = "pairs/models"


def _instead(value: Callable[[h5py.File], Any]) -> Callable[[h5py.File], None]:
    """Something else in the place of an array."""

    def edit(file: h5py.File) -> None:
        replacement = value(file)
        del file[ARRAY]
        file[ARRAY] = replacement

    return edit


EDITS: dict[str, Callable[[h5py.File], Any]] = {
    "nothing but the mark of a store": lambda file: file.clear(),
    "a format of 5,000 digits": lambda file: file.attrs.modify("encoding-version", "9" * 5000),
    "without a group": lambda file: file.pop("pairs"),
    "an array of another shape": _instead(lambda file: file[ARRAY][..., :-1]),
    "an external link": _instead(lambda file: h5py.ExternalLink("../secret.txt", ARRAY)),
    "a soft link to itself": _instead(lambda file: h5py.SoftLink(f"/{ARRAY}")),
    "a group for an array": _instead(lambda file: file.create_group("new")),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edits(edit: Callable[[h5py.File], Any], store: Path, refused: Refused) -> None:
    with h5py.File(store, "r+") as file:
        edit(file)
    refused("inspect", store, naming="store.h5")
