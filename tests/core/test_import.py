from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import landscape


def modules_after(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("code", ["import landscape", "import landscape.run.commands"])
def test_import_is_light(code: str) -> None:
    heavy = {"torch", "transformers", "matplotlib", "ray", "pandas", "scipy", "sklearn", "h5py"}
    assert not heavy & modules_after(code)


def test_what_reads_the_store_knows_no_torch() -> None:
    rooms = ("records", "analysis.analysis", "importers", "output.plots", "output.report")
    code = "import " + ", ".join(f"landscape.{room}" for room in rooms)
    assert not {"torch", "transformers"} & modules_after(code)


def test_public_names_load() -> None:
    for name in landscape.__all__:
        assert getattr(landscape, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        landscape.nothing  # noqa: B018


def test_no_module_hides_a_public_name() -> None:
    folder = Path(landscape.__file__).parent
    rooms = {path.stem for path in folder.glob("*.py")} | {p.name for p in folder.iterdir()}
    assert not rooms & set(landscape.__all__)
