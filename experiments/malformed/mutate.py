"""Inputs changed at random: bytes, words of the format, numbers, lines, pieces of other inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

_NUMBERS = (
    b"0", b"-1", b"1", b"255", b"256", b"65536", b"2147483647", b"-2147483648", b"4294967296",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"1e999", b"-1e999",
    b"nan", b"inf", b"-inf", b"0x7fffffff", b"1.5", b"-0.0", b"1e-320", b"0b1", b"1_000", b"0o17",
    b"1:30", b"99999999999999999999999999999999", b"true", b"null",
)  # fmt: skip
_BYTES = (0, 1, 9, 10, 13, 32, 34, 39, 44, 58, 64, 91, 92, 93, 123, 125, 127, 128, 192, 254, 255)
_LENGTH = 1 << 16  # to which small inputs may grow; large ones to twice their size

Change = Callable[[bytearray, np.random.Generator, Sequence[bytes], Sequence[bytes]], bytearray]


def mutate(
    seeds: Sequence[bytes], tokens: Sequence[bytes], rng: np.random.Generator, most: int = 8
) -> bytes:
    """One of the seeds, changed up to ``most`` times, more often once or twice.

    Args:
        seeds: Sound inputs.
        tokens: Words that mean something in the format.
        rng: Decides everything.
        most: Changes.
    """
    data = bytearray(seeds[int(rng.integers(len(seeds)))])
    longest = max(_LENGTH, 2 * len(data))
    for _ in range(min(most, int(rng.geometric(0.5)))):
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        data = change(data, rng, seeds, tokens)
        del data[longest:]
    return bytes(data)


def _at(data: bytearray, rng: np.random.Generator) -> int:
    return int(rng.integers(len(data) + 1))


def _span(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    """A piece, short ones more often."""
    start = _at(data, rng)
    longest = (4, 32, 256, 4096)[int(rng.integers(4))]
    return start, min(len(data), start + 1 + int(rng.integers(longest)))


def _flip(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    if data:
        data[_at(data, rng) - 1] ^= 1 << int(rng.integers(8))
    return data


def _set(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    if data:
        odd = int(rng.integers(256)) if rng.random() < 0.3 else _BYTES[rng.integers(len(_BYTES))]
        data[_at(data, rng) - 1] = odd
    return data


def _noise(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    place = _at(data, rng)
    data[place:place] = rng.bytes(int(rng.integers(1, 9)))
    return data


def _delete(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    start, stop = _span(data, rng)
    del data[start:stop]
    return data


def _repeat(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    start, stop = _span(data, rng)
    times = (1, 1, 2, 20, 200)[int(rng.integers(5))]
    place = _at(data, rng)
    data[place:place] = data[start:stop] * times
    return data


def _cut(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    del data[_at(data, rng) :]
    return data


def _token(
    data: bytearray, rng: np.random.Generator, _: object, tokens: Sequence[bytes]
) -> bytearray:
    if tokens:
        place = _at(data, rng)
        over = int(rng.integers(2)) * int(rng.integers(1, 9))
        data[place : place + over] = tokens[int(rng.integers(len(tokens)))]
    return data


def _number(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    found = list(re.finditer(rb"-?[0-9][0-9.eE+-]*", bytes(data)))
    if found:
        match = found[int(rng.integers(len(found)))]
        data[match.start() : match.end()] = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
    return data


def _lines(data: bytearray, rng: np.random.Generator, *_: object) -> bytearray:
    lines = bytes(data).split(b"\n")
    first, second = (int(rng.integers(len(lines))) for _ in range(2))
    if rng.random() < 0.5:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines.insert(first, lines[second])
    return bytearray(b"\n".join(lines))


def _splice(
    data: bytearray, rng: np.random.Generator, seeds: Sequence[bytes], _: object
) -> bytearray:
    other = bytearray(seeds[int(rng.integers(len(seeds)))])
    start, stop = _span(other, rng)
    place = _at(data, rng)
    return data[:place] + other[start:stop] + data[place:]


_CHANGES: tuple[Change, ...] = (
    _flip, _set, _set, _noise, _delete, _repeat, _cut, _token, _token, _token, _number, _number,
    _lines, _splice,
)  # fmt: skip
