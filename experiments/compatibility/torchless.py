"""What pytest needs where torch is not installed: ``pytest --noconftest -p torchless``.

Whatever imports torch or transformers is skipped, test by test; everything else runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

NEEDED = ("torch", "transformers")

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["LANDSCAPE_CACHE"] = tempfile.mkdtemp(prefix="landscape-tests-")


class _Absent:
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in NEEDED:
            pytest.skip(f"needs {name.partition('.')[0]}", allow_module_level=True)
        return None


sys.meta_path.insert(0, _Absent())


@pytest.fixture(scope="session")
def populations() -> None:
    pytest.skip("needs torch")


population = task_file = materials = shared_data = populations
