"""Which files are meant, and what is in them."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable
from pathlib import Path

from landscape.core.errors import DataError
from landscape.core.files import read_bytes
from landscape.importers.names import natural_key

Paths = str | Path | Iterable[str | Path]

MAX_VALUES = 20_000_000  # of a text: each of them takes some sixty bytes of memory


def find_files(paths: Paths) -> list[Path]:
    """The files of files, folders (not below them) and patterns, each once.

    Args:
        paths: One or more; hidden files of a folder are left out.

    Raises:
        DataError: A path or pattern stands for no file.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: dict[Path, None] = {}
    for each in given:
        path = Path(each).expanduser()
        try:
            if path.is_dir():
                members = [p for p in path.iterdir() if p.is_file() and p.name[0] != "."]
            elif path.is_file():
                members = [path]
            else:
                members = [Path(p) for p in glob.glob(str(path)) if Path(p).is_file()]
        except (OSError, ValueError) as error:
            raise DataError("The path cannot be read.", where=path, found=error) from None
        if not members:
            raise DataError(
                "There is no file.", where=path, expected="a file, a folder of files or a pattern"
            )
        found |= dict.fromkeys(sorted(members, key=lambda p: natural_key(p.name)))
    if not found:
        raise DataError("No files are named.")
    return list(found)


def named_files(paths: Paths) -> set[Path]:
    """The paths that are given one by one, rather than by their folder or a pattern."""
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    return {Path(each).expanduser() for each in given}


def read_text(path: Path) -> str:
    """A whole file in UTF-8.

    Raises:
        DataError: Not there, too large, or not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "The file is no text.", where=path, expected="UTF-8", found=error.reason
        ) from None


def check_amount(text: str, signs: str, where: object) -> None:
    """Refuse a text of so many values that they would fill the memory.

    Args:
        text: The text.
        signs: What ends or begins a value in it.
        where: The file.

    Raises:
        DataError: There are more than ``MAX_VALUES`` of them.
    """
    if sum(text.count(sign) for sign in signs) > MAX_VALUES:
        raise DataError(
            "The file is too large.", where=where, expected=f"up to {MAX_VALUES} values"
        )


def content_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(read_bytes(path)).hexdigest()
