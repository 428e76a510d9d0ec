"""Readers on made-up input: what is sound is read as it was written, the rest is refused."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from landscape.core.errors import ConfigError, LandscapeError
from landscape.core.plain_yaml import parse_yaml
from landscape.core.schema import validate
from landscape.run.config import ExperimentConfig
from tests.malformed.readers import READERS, Reader

pytestmark = pytest.mark.slow

few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
text = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | text
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
)


NUMBERS = b"0|-1|255|65536|2147483648|9223372036854775808|1e999|-inf|0x7f|1:30|1_000".split(b"|")


@pytest.fixture
def member(materials: Path, tmp_path: Path) -> Path:
    """A sound classifier of one's own."""
    return Path(shutil.copytree(materials / "population" / "member-0", tmp_path / "member"))


@given(plain)
@few
def test_yaml_is_read_as_it_was_written(value: Any) -> None:
    written = yaml.safe_dump(value).encode()
    assert parse_yaml(written) == yaml.safe_load(written) == value


@given(st.binary(max_size=60) | text.map(str.encode))
@example(b"{a: 1, a: 2}")
@example(b"a: 0x" + b"f" * 40)
@example(b"&a {x: &b [1]}: *b")
@few
def test_any_bytes_are_yaml_as_the_library_reads_it_or_refused(data: bytes) -> None:
    try:
        value = parse_yaml(data)
    except ValueError:
        return
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    assert repr(value) == repr(yaml.load(data.decode("utf-8-sig"), loader))


@given(st.dictionaries(st.sampled_from(sorted(ExperimentConfig.model_fields)) | text, plain))
@few
def test_configurations_of_anything_are_refused_with_words(content: dict[str, Any]) -> None:
    with suppress(ConfigError):
        json.dumps(validate(ExperimentConfig, content, "here").model_dump(mode="json"))


@st.composite
def changed(draw: st.DrawFn, reader: Reader) -> bytes:
    """A sound input of a reader, changed in a few places."""
    data = bytearray(draw(st.sampled_from(reader.seeds)))
    words = st.sampled_from([*NUMBERS, *reader.words]) | st.binary(max_size=8)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 40)))
        repeated = bytes(data[start:stop]) * draw(st.sampled_from([0, 2, 20]))
        data[start:stop] = draw(words | st.just(repeated))
    return bytes(data)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@few
def test_changed_inputs_are_read_or_refused(name: str, data: st.DataObject, member: Path) -> None:
    with suppress(LandscapeError):
        READERS[name].read(data.draw(changed(READERS[name])), member.parent)


@pytest.mark.parametrize("name", READERS)
def test_sound_inputs_are_read(name: str, member: Path) -> None:
    for seed in READERS[name].seeds:
        READERS[name].read(seed, member.parent)
