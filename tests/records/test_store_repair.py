"""Damaged stores are mended, and every sound row is kept."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscape.records.store.structure import PAGE, find_directory
from typer.testing import CliRunner

from landscape.core.errors import StoreError
from landscape.records import ENCODING_VERSION, StoreWriter, lock_store, read_store
from landscape.records.repair import repair
from landscape.run.commands import app
from tests.records.test_store import bare
from tests.records.test_store_damage import (
    KINDS,
    build,
    everything,
    flip,
    long_rows,
    measured_rows,
    row_bytes,
)
from tests.records.test_store_pairs import measure, outputs


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp(request.param) / "store.h5", request.param)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_flipped_byte_matters_not_or_is_found_and_mended(
    store: Path, data: st.DataObject
) -> None:
    good = store.read_bytes()
    in_rows, anywhere = st.sampled_from(row_bytes(store).tolist()), st.integers(0, len(good) - 1)
    bad = bytearray(good)
    flips = {data.draw(st.one_of(in_rows, anywhere)), *data.draw(st.sets(in_rows, max_size=1))}
    for place in flips:
        bad[place] ^= data.draw(st.integers(1, 255))
    path = damaged(store, bytes(bad))
    if as_before(store, path):
        return
    mend(store, path)
    before, after = measured_rows(read_store(store)), measured_rows(read_store(path))
    assert len(before) - len(after) <= len(flips)
    if read_store(store).chosen == "all":
        pairs = [sorted(map(tuple, read_store(each).pairs.tolist())) for each in (store, path)]
        assert pairs[0] == pairs[1]


@settings(deadline=None, max_examples=12)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_found_and_mended(store: Path, share: float) -> None:
    good = store.read_bytes()
    path = damaged(store, good[: int(share * len(good))])
    assert not as_before(store, path)
    first, _, length = copies(store)
    if path.stat().st_size >= first + length:
        mend(store, path)
        return
    cut = path.read_bytes()
    with pytest.raises(StoreError, match="beyond what can be mended"):
        repair(path)
    assert path.read_bytes() == cut


def copies(path: Path) -> tuple[int, int, int]:
    """Where the two copies of the structure begin, and how long one is."""
    with path.open("rb") as file:
        directory, _ = find_directory(file.fileno())
    assert directory is not None
    return *directory.places, directory.n_copy


def damaged(store: Path, content: bytes) -> Path:
    path = store.with_name("damaged.h5")
    for left in path.parent.glob(f"*{path.name}*"):
        left.unlink()
    path.write_bytes(content)
    return path


def as_before(store: Path, path: Path) -> bool:
    """The store is refused, or reads as before; then it is left as it is."""
    try:
        contents = read_store(path)
    except StoreError:
        return False
    assert everything(contents) == everything(read_store(store))
    content = path.read_bytes()
    assert repair(path).damaged == ()
    assert path.read_bytes() == content
    return True


def mend(store: Path, path: Path) -> None:
    bad = path.read_bytes()
    made = repair(path)
    assert made.original is not None
    assert made.original.read_bytes() == bad
    assert not [each for each in path.parent.iterdir() if each.name[0] == "."]
    contents = read_store(path)
    before, after = everything(read_store(store)), everything(contents)
    rows = measured_rows(contents)
    assert all(before[row] == values for row, values in rows.items())
    assert made.pairs == contents.status.sum()
    for name in ("table", "positions", "dev", "hard", "dev/labels", "hard/labels", "points/way"):
        assert after[name] == before[name]
    with StoreWriter(path) as writer:  # and it is gone on with
        for row in writer.models_to_measure().tolist():
            writer.write_model(row, outputs(100 + row))
        measure(writer, writer.pairs_to_measure())
    again = read_store(path)
    assert again.status.all()
    assert again.model_status.all()


@pytest.mark.parametrize("array", ["pairs/status", "pairs/seal", "pairs/models"])
@pytest.mark.parametrize("row", [0, 1])
def test_what_stands_beside_a_sound_row_is_found_again(
    tmp_path: Path, array: str, row: int
) -> None:
    """No pair has to be measured again, measured before or not."""
    path = build(tmp_path / "store.h5", "all")
    before = read_store(path)
    flip(path, array, row)
    made = repair(path)
    assert made.pairs == 4
    assert everything(read_store(path)) == everything(before)


def test_a_row_of_which_nothing_is_known_is_a_pair_that_is_lacking(tmp_path: Path) -> None:
    path = build(tmp_path / "store.h5", "all")
    pairs = read_store(path).pairs.tolist()
    for array in ("pairs/models", "pairs/seal", "pairs/checksum", "pairs/status"):
        flip(path, array, 2)
    repair(path)
    contents = read_store(path)
    assert contents.status.tolist() == [1, 0, 0, 1, 0, 1]
    assert contents.pairs.tolist()[:2] + contents.pairs.tolist()[3:] == pairs[:2] + pairs[3:]


def test_structure_and_its_copies_are_told_apart(tmp_path: Path) -> None:
    path = build(tmp_path / "store.h5", "all")
    good, before = path.read_bytes(), everything(read_store(path))
    first, second, length = copies(path)
    text = good.rindex(b"y \xc3\xa9")  # a name of a group, in UTF-8
    damages = {
        "structure, names, texts or labels\n": [text],
        "a copy of its structure\n": [second + length - 9],
        "texts or labels; a copy of its structure": [text, *range(first, first + length)],
    }
    for what, places in damages.items():
        bad = bytearray(good)
        for place in places:
            bad[place] ^= 255
        path.write_bytes(bytes(bad))
        for use in (read_store, StoreWriter):
            with pytest.raises(StoreError, match=rf"is damaged(?s:.*){what}"):
                use(path)
        assert repair(path).pairs == 4
        assert everything(read_store(path)) == before
        assert path.read_bytes() == good
    for place in range(second, second + length):
        bad[place] ^= 255
    path.write_bytes(bytes(bad))
    message = r"beyond what can be mended(?s:.*)structure, in one place with both copies"
    with pytest.raises(StoreError, match=message):
        repair(path)
    assert path.read_bytes() == bytes(bad)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["store.h5", *(f"store.h5.damaged{end}" for end in ("", "-2", "-3"))]
    run = CliRunner().invoke(app, ["repair", str(path)])
    assert isinstance(run.exception, StoreError)


def test_each_page_is_mended_from_whichever_copy_has_it(tmp_path: Path) -> None:
    """Structure and both copies are damaged, at many places."""
    path = build(tmp_path / "store.h5", "packed")
    good, before = path.read_bytes(), everything(read_store(path))
    with path.open("rb") as file:
        directory, _ = find_directory(file.fileno())
    assert directory is not None
    first, second, _ = copies(path)
    starts = np.cumsum(directory.lengths, dtype=int) - directory.lengths
    outside = np.concatenate([np.arange(*piece) for piece in directory.outside()])
    bad = bytearray(good)
    for page, start in enumerate(starts.tolist()):
        bad[outside[page * PAGE + page]] ^= 255
        bad[(first, second)[page % 2] + start + 5] ^= 255
    path.write_bytes(bytes(bad))
    assert repair(path).lost == 0
    assert everything(read_store(path)) == before
    assert path.read_bytes() == good


def test_either_end_of_the_user_block_is_enough(tmp_path: Path) -> None:
    path = build(tmp_path / "store.h5", "packed")
    good, before = path.read_bytes(), everything(read_store(path))
    with h5py.File(path) as file:
        block = file.userblock_size
    for piece in (slice(0, 16), slice(block - 30, block), slice(80, 110)):
        bad = bytearray(good)
        bad[piece] = bytes(piece.stop - piece.start)
        path.write_bytes(bytes(bad))
        with pytest.raises(StoreError, match=r"is damaged(?s:.*)a copy of its structure"):
            read_store(path)
        assert repair(path).damaged == ("a copy of its structure",)
        assert everything(read_store(path)) == before
    path.write_bytes(bytes(block) + good[block:])  # both ends: nothing vouches for the rest
    with pytest.raises(StoreError, match=r"is damaged(?s:.*)a copy of its structure"):
        read_store(path)
    with pytest.raises(StoreError, match="both directories of the copies"):
        repair(path)


def test_a_store_that_is_written_to_is_not_repaired(tmp_path: Path) -> None:
    path = build(tmp_path / "store.h5", "all")
    with StoreWriter(path), pytest.raises(StoreError, match="Another process is writing"):
        repair(path)
    with lock_store(path), pytest.raises(StoreError, match="Another process is writing"):
        repair(path)
    with pytest.raises(StoreError, match="There is no store"):
        repair(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(StoreError, match="beyond what can be mended"):
        repair(tmp_path / "text.h5")


def test_an_older_store_keeps_what_can_be_read(tmp_path: Path) -> None:
    """It has no checksums: a row that does not decompress is all that shows."""
    path = bare(long_rows(tmp_path / "store.h5"))
    before = read_store(path)
    assert repair(path).damaged == ()
    with h5py.File(path) as file:
        chunk = file["datasets/dev/losses"].id.get_chunk_info(1)
    whole = bytearray(path.read_bytes())
    whole[chunk.byte_offset + 2] ^= 255
    path.write_bytes(bytes(whole))
    with pytest.raises(StoreError, match=r"cannot be read(?s:.*)landscape repair"):
        read_store(path)
    assert repair(path).damaged == ("pair m0 - m2",)
    contents = read_store(path)
    assert contents.attributes["encoding-version"] == ENCODING_VERSION
    assert contents.status.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(
        contents.datasets["dev"].losses[[0, 2]], before.datasets["dev"].losses[[0, 2]]
    )


def test_an_older_store_that_was_cut_is_left_as_it_is(tmp_path: Path) -> None:
    path = bare(build(tmp_path / "store.h5", "all"))
    cut = path.read_bytes()[:-5000]
    path.write_bytes(cut)
    with pytest.raises(StoreError, match=r"cannot be read(?s:.*)landscape repair"):
        read_store(path)
    with pytest.raises(StoreError, match="beyond what can be mended"):
        repair(path)
    assert path.read_bytes() == cut
    assert [file.name for file in tmp_path.iterdir()] == ["store.h5"]


def test_rows_that_do_not_decompress_are_left_out(tmp_path: Path) -> None:
    """Long rows are compressed each on its own: a byte breaks one of them."""
    path = long_rows(tmp_path / "store.h5")
    with h5py.File(path) as file:
        losses = file["datasets/dev/losses"]
        assert losses.chunks == (1, 4, 400)
        assert losses.compression == "gzip"
        chunk = losses.id.get_chunk_info(1)
        assert file["pairs/models"].chunks is None
    before = read_store(path)
    whole = bytearray(path.read_bytes())
    whole[chunk.byte_offset + 2] ^= 255
    path.write_bytes(bytes(whole))
    with pytest.raises(StoreError, match=r"is damaged(?s:.*)found: pair m0 - m2\n"):
        read_store(path)
    run = CliRunner().invoke(app, ["repair", str(path)])
    assert run.exit_code == 0
    assert "2 pairs are measured; to be measured again: 1" in run.stdout
    contents = read_store(path)
    assert contents.attributes["finished"] == "no"
    assert contents.status.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(
        contents.datasets["dev"].losses[[0, 2]], before.datasets["dev"].losses[[0, 2]]
    )
    assert "nothing is damaged" in CliRunner().invoke(app, ["repair", str(path)]).stdout
