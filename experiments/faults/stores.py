"""Stores that were cut short or whose bytes have changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from compare import compare, rows_of
from damage import cut, flip, touched
from trial import Trial

from landscape.core.errors import StoreError
from landscape.records import read_store

Damage = Callable[[Path, np.random.Generator], np.ndarray]


def store_cut(trial: Trial) -> bool:
    """A store is cut at a random length."""
    return _damaged(trial, cut)


def bytes_flipped(trial: Trial) -> bool:
    """1 to 100 bytes of a store change, wherever they are."""
    return _damaged(trial, flip)


def _damaged(trial: Trial, spoil: Damage) -> bool:
    if trial.rng.random() < 0.35:
        trial.start = trial.finished
    trial.lay_out()
    if not trial.store.is_file():
        return False
    sound = trial.folder / "sound.h5"
    shutil.copyfile(trial.store, sound)
    before = read_store(sound)
    rows = rows_of(before)
    places = spoil(trial.store, trial.rng)
    hurt = touched(sound, places) & rows
    finished = before.attributes["finished"] == "yes"
    trial.result.place = "finished" if finished else "unfinished"
    trial.result.how = f"{len(places)} of {sound.stat().st_size} bytes"
    trial.result.rows, trial.result.hit = len(rows), len(hurt)
    trial.result.detected = _is_detected(trial, rows)
    if trial.result.detected:
        trial.end(trial.run(), 2)  # a run does not go on with it
        _mend(trial, rows, hurt)
    trial.resume()
    kept = trial.out / "store.h5.damaged"
    if trial.result.mended and not kept.is_file():
        trial.fail("the damaged file is not kept")
    kept.unlink(missing_ok=True)
    trial.finale()
    return True


def _is_detected(trial: Trial, rows: set[str]) -> bool:
    """Whether reading refuses, in one error that says what to do; else nothing may be wrong."""
    try:
        results = read_store(trial.store)
    except StoreError as error:
        text = str(error)
        if "landscape repair" not in text and "not a landscape store" not in text:
            trial.fail(f"damage without advice: {text}".replace("\n", ";"))
        return True
    found = compare(results, trial.reference, whole=False)
    if found.differences or found.measured != rows:
        missing = sorted(rows - found.measured)
        trial.fail(f"damage that is not found: {[*found.differences, *missing][:5]}")
    return False


def _mend(trial: Trial, rows: set[str], hurt: set[str]) -> None:
    """Repair keeps every row whose bytes were not hit."""
    run = trial.command("repair", str(trial.store))
    code = trial.end(run, 0, 2)
    trial.result.mended = code == 0
    if code == 0:
        found = compare(trial.store, trial.reference, whole=False)
        trial._note(found.differences)
        lost = rows - hurt - found.measured
        trial.result.lost = len(lost)
        if lost:
            trial.fail(f"lost though sound: {sorted(lost)[:5]}")
        return
    if "beyond what can be mended" not in run.said():
        trial.fail(f"repair refuses: {run.said().strip()}".replace("\n", ";"))
    trial.result.lost = len(rows - hurt)
    trial.store.unlink()  # what the user is left with
