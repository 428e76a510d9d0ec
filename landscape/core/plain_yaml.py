"""YAML of plain values, read so that no file of a few lines fills the memory or never ends.

An alias is a value that stands again, so that a few lines can mean billions of values. The file's
events are read first, without building anything: how many values it means, how deep they lie, and
whether a key stands twice, of which YAML libraries silently take the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

MAX_BYTES = 4 * 2**20
MAX_VALUES = 200_000  # after every alias is replaced by what it stands for
MAX_DEPTH = 50

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(data: bytes) -> Any:
    """The value of a YAML document.

    Args:
        data: UTF-8.

    Raises:
        ValueError: No such document; values of other kinds than plain ones; too many or too deeply
            nested values; a key that stands twice.
    """
    try:
        text = data.decode("utf-8-sig")
        _scan(text)
        value = yaml.load(text, Loader=_Loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8: {error.reason} at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise ValueError(_say(error)) from None
    except Exception as error:  # a number or a date that is none ends in errors of every kind
        raise ValueError(f"a value that is not what it seems ({error})"[:300]) from None
    _check(value)
    return value


@dataclass
class _Node:
    """A mapping or sequence that is being read."""

    anchor: str | None
    keys: set[str] | None
    size: int = 1
    at_key: bool = True


def _scan(text: str) -> None:
    sizes: dict[str, int] = {}
    stack = [_Node(None, None)]

    def add(size: int, anchor: str | None, key: str | None, mark: Any) -> None:
        top = stack[-1]
        top.size += size
        if anchor is not None:
            sizes[anchor] = size
        if top.size > MAX_VALUES:
            raise yaml.MarkedYAMLError(None, None, f"more than {MAX_VALUES} values", mark)
        if top.keys is None:
            return
        if top.at_key and key is not None:
            if key in top.keys and key != "<<":
                raise yaml.MarkedYAMLError(None, None, f"the key '{key[:80]}' stands twice", mark)
            top.keys.add(key)
        top.at_key = not top.at_key

    for event in yaml.parse(text, Loader=_Loader):
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            if any(node.anchor == event.anchor for node in stack):
                raise yaml.MarkedYAMLError(None, None, "an alias of what it stands in", mark)
            add(sizes.get(str(event.anchor), 1), None, None, mark)
        elif isinstance(event, yaml.ScalarEvent):
            add(1, event.anchor, event.value, mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            stack.append(_Node(event.anchor, set() if is_mapping else None))
            if len(stack) > MAX_DEPTH:
                raise yaml.MarkedYAMLError(None, None, f"more than {MAX_DEPTH} levels", mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = stack.pop()
            add(node.size, node.anchor, None, mark)


def _check(value: Any) -> None:
    """Refuse what JSON, HDF5 and a terminal cannot take."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key)
            _check(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            _check(item)
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"half of a character in {value!a:.80}") from None
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a number of more than 64 bits")


def _say(error: yaml.YAMLError) -> str:
    """The problem and its place in one line."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.context, error.problem)))
        return f"{said} (line {mark.line + 1}, column {mark.column + 1})" if mark else said
    return str(error).split("\n")[0]
