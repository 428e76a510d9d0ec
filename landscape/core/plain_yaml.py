"""YAML of plain values, each key once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml

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


def parse_yaml(data: bytes) -> Any:
    """The value of a YAML document.

    Args:
        data: UTF-8.

    Raises:
        ValueError: No such document; values of other kinds than plain ones; a key that stands
            twice.
    """
    try:
        return yaml.load(data.decode("utf-8-sig"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8: {error.reason} at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    except Exception as error:  # a number or a date that is none ends in errors of every kind
        raise ValueError(f"a value that is not what it seems ({error})"[:300]) from None
