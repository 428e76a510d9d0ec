"""Readers on made-up input: what is sound is read as it was written, the rest is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "malformed"))

import fuzz
from fuzz_readers import READERS, Reader
from mutate import mutate
from weight_cases import archive, tensor_pickle, with_header

from landscape.checkpoints import load_checkpoint
from landscape.checkpoints.labels import match_labels
from landscape.checkpoints.torch_files import read_torch_file
from landscape.core.errors import CheckpointError, ConfigError, LandscapeError
from landscape.core.plain_yaml import parse_yaml
from landscape.core.restricted_pickle import parse_pickle
from landscape.core.schema import validate
from landscape.run.config import ExperimentConfig
from landscape.tasks.tables import read_table
from tests.tiny import save_population

few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
text = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | text
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
)


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("materials")
    save_population(folder / "population", "bert", 2)
    return folder


@given(plain)
@few
def test_yaml_is_read_as_it_was_written(value: Any) -> None:
    written = yaml.safe_dump(value).encode()
    assert parse_yaml(written) == yaml.safe_load(written) == value


@given(st.binary(max_size=60) | text.map(str.encode))
@example(b"a: &a [*a]")
@example(b"{a: 1, a: 2}")
@example(b"a: 0x" + b"f" * 40)
@example(b"&a {x: &b [1]}: *b")
@few
def test_any_bytes_are_yaml_as_the_library_reads_it_or_refused(data: bytes) -> None:
    try:
        value = parse_yaml(data)
    except ValueError:
        return
    assert repr(value) == repr(yaml.safe_load(data.decode("utf-8-sig")))


@given(depth=st.integers(2, 9), width=st.integers(2, 12))
@few
def test_aliases_count_as_often_as_they_stand(depth: int, width: int) -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * width)}]" for k in range(1, depth)]
    sizes = [2]
    for _ in range(depth - 1):
        sizes.append(1 + width * sizes[-1])
    means = 2 + sum(sizes) + depth  # the document, the mapping, its values and its keys
    data = "\n".join(lines).encode()
    if means <= 200_000:
        assert len(parse_yaml(data)) == depth
    else:
        with pytest.raises(ValueError, match="more than 200000 values"):
            parse_yaml(data)


@given(st.dictionaries(st.sampled_from(sorted(ExperimentConfig.model_fields)) | text, plain))
@few
def test_configurations_of_anything_are_refused_with_words(content: dict[str, Any]) -> None:
    said = ""
    try:
        config = validate(ExperimentConfig, content, "here")
    except ConfigError as error:
        said = str(error)
    else:
        json.dumps(config.model_dump(mode="json"))
    assert not said or ("problem" in said and len(said) < 20_000)


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
    tensors: dict[str, np.ndarray], materials: Path
) -> None:
    member = materials / "population" / "member-0"
    save_file(tensors, member / "model.safetensors")
    shapes = load_checkpoint(member).params.shapes
    assert shapes == {name: tensor.shape for name, tensor in tensors.items()}


@given(header=st.binary(max_size=80), length=st.integers(0, 2**64 - 1) | st.none())
@few
def test_headers_of_anything_are_refused(
    header: bytes, length: int | None, materials: Path
) -> None:
    member = materials / "population" / "member-0"
    (member / "model.safetensors").write_bytes(with_header(header, b"\0" * 8, length))
    with suppress(CheckpointError):
        assert not load_checkpoint(member).params


@given(names=st.lists(st.text("./ab\0\\", max_size=5) | st.just("shard") | scalars, min_size=1))
@few
def test_an_index_never_leads_out_of_its_folder(names: list[Any], materials: Path) -> None:
    member = materials / "population" / "member-1"
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


@given(
    numel=st.integers(0, 2**40),
    size=st.lists(st.integers(0, 2**33), min_size=1, max_size=3),
    stride=st.lists(st.integers(0, 2**33), min_size=1, max_size=3),
)
@example(numel=4, size=[2, 2], stride=[2, 1])
@example(numel=4, size=[1000, 1000], stride=[0, 0])
@few
def test_no_tensor_is_larger_than_its_file(
    numel: int, size: list[int], stride: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(archive(tensor_pickle(numel, size, stride), **{"0": b"\0" * 16}))
    try:
        tensor = read_torch_file(path)["a"]
    except ValueError:
        assert (numel, size, stride) != (4, [2, 2], [2, 1])
    else:
        assert tensor.numel() * 4 <= path.stat().st_size


@given(st.permutations(["no", "yes", "maybe so"]), st.sampled_from([str, str.upper, str.title]))
@few
def test_labels_are_matched_in_any_order(names: list[str], style: Any) -> None:
    wanted = ["no", "yes", "maybe so"]
    order = match_labels([style(name).replace(" ", "_") for name in names], wanted, None, "here")
    assert [names[row] for row in order] == wanted


@given(plain)
@few
def test_plain_pickles_are_read_as_they_were_written(value: Any) -> None:
    for protocol in range(6):
        assert parse_pickle(pickle.dumps(value, protocol)) == value


QUICK = sorted(set(READERS) - {"architecture", "tokenizer", "store"})


@pytest.fixture(scope="module")
def prepared(
    materials: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Reader, list[bytes], Path]]:
    """Each reader with its sound inputs and a folder of its own."""
    found = {}
    for name in QUICK:
        folder = tmp_path_factory.mktemp("reader")
        save_population(folder / "population", "bert", 2)
        found[name] = (READERS[name], list(READERS[name].prepare(folder, folder)), folder)
    return found


@pytest.mark.parametrize("name", QUICK)
@given(seed=st.integers(0, 2**32))
@settings(few, max_examples=80)
def test_changed_inputs_are_read_or_refused(
    name: str, seed: int, prepared: dict[str, tuple[Reader, list[bytes], Path]]
) -> None:
    reader, seeds, folder = prepared[name]
    with suppress(LandscapeError):
        reader.read(reader.make(seeds, np.random.default_rng(seed)), folder)


@given(st.integers(0, 2**32))
@few
def test_the_generator_alone_decides_an_input(seed: int) -> None:
    given = [b"one: 1\n", b"two: [2, 3]\n"]
    first, second = (mutate(given, [b"x"], np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    assert given == [b"one: 1\n", b"two: [2, 3]\n"]


def test_the_harness_notices_errors_ends_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight executions, by their numbers: a refusal, an error, an end, a lot of memory."""
    monkeypatch.setattr(fuzz, "MOST_BYTES", 2**26)

    def read(data: bytes, folder: Path) -> None:
        number = int(data)
        if number == 1:
            raise ConfigError("no")
        if number == 2:
            raise KeyError("two")
        if number == 3:
            os._exit(5)
        if number == 4:
            np.ones(2**24)

    class Numbered(Reader):
        def make(self, seeds: Sequence[bytes], rng: np.random.Generator) -> bytes:
            # what the generator was made from
            return str(rng.bit_generator.seed_seq.entropy[1]).encode()  # type: ignore[attr-defined]

    monkeypatch.setitem(READERS, "log", Numbered(lambda materials, folder: [b"0"], read))
    row = fuzz.fuzz("log", 8, 0, 0, tmp_path, tmp_path / "crashes")
    assert (row["executions"], row["read"], row["refused"]) == (8, 5, 1)
    found = {what.split(" at ")[0]: numbers for what, numbers in row["crashes"].items()}
    assert found == {
        "KeyError": [1, 2],
        "the process ended with 5": [1, 3],
        f"more than {2**26} bytes": [1, 4],
    }
    assert (tmp_path / "crashes" / "log-0-3").read_bytes() == b"3"
