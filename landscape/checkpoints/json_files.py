"""The JSON files of a checkpoint's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from landscape.core.errors import CheckpointError


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; anything else is a CheckpointError."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"A checkpoint needs a {path.name}.", where=path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError("The file is not readable JSON.", where=path, found=error) from None
    if not isinstance(content, dict):
        raise CheckpointError("The file is not a JSON object.", where=path)
    return content
