"""YAML of plain values: each key once, and no few lines that stand for billions of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml

MAX_BYTES = 4 * 2**20
MAX_VALUES = 200_000  # after every alias is replaced by what it stands for
MAX_DEPTH = 50

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """Refuses a key that stands twice, of which YAML libraries silently take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, n in names.items() if n > 1 and key != "<<"]:
            raise yaml.MarkedYAMLError(
                None, None, f"the key '{twice[0][:80]}' stands twice", node.start_mark
            )
        return dict(super().construct_mapping(node, deep))

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_VALUES:  # merges of merges
            raise yaml.MarkedYAMLError(None, None, f"more than {MAX_VALUES} keys", node.start_mark)


def parse_yaml(data: bytes) -> Any:
    """The value of a YAML document.

    Args:
        data: UTF-8.

    Raises:
        ValueError: No such document; values of other kinds than plain ones; too many or too deeply
            nested values; a key that stands twice.
    """
    try:
        value = yaml.load(data.decode("utf-8-sig"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8: {error.reason} at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    except Exception as error:  # a number or a date that is none ends in errors of every kind
        raise ValueError(f"a value that is not what it seems ({error})"[:300]) from None
    _check(value, 0, [0])
    return value


def _check(value: Any, depth: int, count: list[int]) -> None:
    """Refuse what JSON, HDF5 and a terminal cannot take."""
    count[0] += 1
    if count[0] > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} levels, or an alias of what it stands in")
    if isinstance(value, dict):
        for item in (*value, *value.values()):
            _check(item, depth + 1, count)
    elif isinstance(value, list | tuple | set):
        for item in value:
            _check(item, depth + 1, count)
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"half of a character in {value!a:.80}") from None
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a number of more than 64 bits")
