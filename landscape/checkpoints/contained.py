"""What may be read of a checkpoint's folder: files that lie in it, of a size that can be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from landscape.core.errors import CheckpointError

MAX_JSON_BYTES = 2**24
_READ = (".json", ".txt", ".model", ".bin", ".safetensors", ".jinja", ".codes", ".h5", ".msgpack")


def refuse_links_out(folder: Path) -> None:
    """Refuse a checkpoint whose files are links to files outside of its folder.

    Those of the hub's cache may lie where the cache keeps them; the folder may itself be a link.
    """
    inside = folder.resolve()
    roots = [inside]
    if folder.parent.name == "snapshots":
        roots.append((folder.parent.parent / "blobs").resolve())
    with os.scandir(folder) as entries:
        links = [e.path for e in entries if e.is_symlink() and e.name.endswith(_READ)]
    for link in links:
        target = Path(os.path.realpath(link))
        if not any(target.is_relative_to(root) for root in roots):
            raise CheckpointError(
                "A file of the checkpoint is a link that leads out of its folder.",
                where=link,
                found=target,
                fix="copy the file into the folder",
            )


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """A JSON object; anything else is a CheckpointError."""
    if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
        raise CheckpointError("This is no file.", where=path)
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
        content = json.loads(data.decode()) if len(data) <= max_bytes else None
    except FileNotFoundError:
        raise CheckpointError(f"A checkpoint needs a {path.name}.", where=path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError("The file is not readable JSON.", where=path, found=error) from None
    if len(data) > max_bytes:
        raise CheckpointError(
            "The file is too large.", where=path, expected=f"up to {max_bytes} bytes"
        )
    if not isinstance(content, dict):
        raise CheckpointError("The file is not a JSON object.", where=path)
    return content
