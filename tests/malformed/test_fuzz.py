"""Readers on made-up input: what is sound is read as it was written, the rest is refused."""

from __future__ import annotations

import csv
import io
import json
import pickle
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from landscape.checkpoints import load_checkpoint
from landscape.checkpoints.labels import match_labels
from landscape.core.errors import CheckpointError, ConfigError, LandscapeError
from landscape.core.plain_yaml import parse_yaml
from landscape.core.schema import validate
from landscape.importers.restricted_pickle import parse_pickle
from landscape.run.config import ExperimentConfig
from landscape.tasks.tables import read_table
from tests.malformed.readers import READERS, Reader
from tests.malformed.weights import with_header

few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


cell = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)


@given(
    rows=st.lists(st.tuples(cell, cell), min_size=1, max_size=6),
    kind=st.sampled_from(["csv", "jsonl"]),
)
@few
def test_tables_are_read_as_they_were_written(
    rows: list[tuple[str, str]], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "csv":
        out = io.StringIO()
        csv.writer(out).writerows([("one", "two"), *rows])
        path.write_text(out.getvalue(), encoding="utf-8", newline="")
    else:
        lines = [json.dumps(dict(zip(("one", "two"), row, strict=True))) for row in rows]
        path.write_text("\n".join(lines))
    frame = read_table(path, ["one", "two"])
    assert list(frame[["one", "two"]].itertuples(index=False, name=None)) == rows


@given(
    tensors=st.dictionaries(
        st.text("ab./", min_size=1, max_size=6),
        st.lists(st.integers(0, 3), max_size=3).map(lambda shape: np.zeros(shape, np.float32)),
        min_size=1,
        max_size=4,
    )
)
@few
def test_shapes_are_those_of_the_saved_tensors(
    tensors: dict[str, np.ndarray], member: Path
) -> None:
    save_file(tensors, member / "model.safetensors")
    shapes = load_checkpoint(member).params.shapes
    assert shapes == {name: tensor.shape for name, tensor in tensors.items()}


@given(header=st.binary(max_size=80), length=st.integers(0, 2**64 - 1) | st.none())
@few
def test_headers_of_anything_are_refused(header: bytes, length: int | None, member: Path) -> None:
    (member / "model.safetensors").write_bytes(with_header(header, b"\0" * 8, length))
    with suppress(CheckpointError):
        assert not load_checkpoint(member).params


@given(names=st.lists(st.text("./ab\0\\", max_size=5) | st.just("shard") | scalars, min_size=1))
@few
def test_an_index_never_leads_out_of_its_folder(names: list[Any], member: Path) -> None:
    if not (member / "shard").exists():
        (member / "model.safetensors").rename(member / "shard")
    index = {"weight_map": {str(k): name for k, name in enumerate(names)}}
    (member / "model.safetensors.index.json").write_text(json.dumps(index))
    try:
        files = load_checkpoint(member).files
    except CheckpointError:
        assert any(name != "shard" for name in names)
    else:
        assert files == (member / "shard",)


@given(st.permutations(["no", "yes", "maybe so"]), st.sampled_from([str, str.upper, str.title]))
@few
def test_labels_are_matched_in_any_order(names: list[str], style: Any) -> None:
    wanted = ["no", "yes", "maybe so"]
    order = match_labels([style(name).replace(" ", "_") for name in names], wanted, None, "here")
    assert [names[row] for row in order] == wanted


@given(plain)
@few
def test_plain_pickles_are_read_as_they_were_written(value: Any) -> None:
    for protocol in (4, 5):
        assert parse_pickle(pickle.dumps(value, protocol)) == value


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
