"""Checkpoints that cannot be read or change, losses that are not finite, memory that runs out."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
from population import POINTS, make_model
from trial import Trial, phase

from landscape.records import FORMATS, read_store

_BATCHES = 16  # more than there are


def reads_fail_for_a_while(trial: Trial) -> bool:
    """One to three readings of weight files fail; nothing else is wrong with the disk."""
    return _reads(trial, int(trial.rng.integers(1, 4)))


def reads_fail(trial: Trial) -> bool:
    """From some moment on no weight file can be read, or one of them cannot."""
    return _reads(trial, 10**9)


def _reads(trial: Trial, times: int) -> bool:
    trial.lay_out()
    model = trial.one_of("", "m1", "m2", "m3")
    first = int(trial.rng.integers(1, (30 if model else 200) // (1 + trial.world.quick)))
    plan = {"model": model, "from": first, "times": times}
    running = trial.run({"reads": plan})
    trial.result.rows = len(trial._rows())
    code = trial.end(running, 0, 2)
    failed = [k for k, e in enumerate(running.events()) if e["says"] == "cannot read"]
    if not failed:
        return False
    _place(trial, running.events()[: failed[0]])
    trial.result.how = f"{len(failed)} readings, code {code}"
    if code and not any(f"models/{name}" in running.said() for name in trial.reference.models):
        trial.fail("the checkpoint is not named")
    trial.check()
    if code:
        trial.resume()
    trial.finale()
    return True


def _place(trial: Trial, events: list[dict[str, object]]) -> None:
    trial.result.place = phase(events)


def checkpoint_removed(trial: Trial) -> bool:
    """A file of a checkpoint is taken away, and later put back."""
    trial.lay_out()
    trial.own_population()
    name = trial.one_of("model.safetensors", "model.safetensors", "config.json", "tokenizer.json")
    file = trial.population / f"models/{trial.one_of(*trial.reference.models)}" / name
    away = trial.folder / name
    moment = trial.moment()
    running = trial.run({"stop": moment.stop()})
    if not trial.strike(running, moment, lambda _: os.rename(file, away)):
        return False
    trial.result.how += f", {name}"
    code = trial.end(running, 0, 2)
    if code and str(file.parent.name) not in running.said():
        trial.fail("the checkpoint is not named")
    trial.check()
    os.rename(away, file)
    if code:
        trial.resume()
    trial.finale()
    return True


def checkpoint_replaced(trial: Trial) -> bool:
    """Other weights take a checkpoint's place: refused by name, now and later, until restored."""
    trial.lay_out()
    trial.own_population()
    folder = trial.population / f"models/{trial.one_of(*trial.reference.models)}"
    file, kept = folder / "model.safetensors", trial.folder / "kept"
    shutil.copy2(file, kept)
    other = trial.folder / "other"
    make_model(trial.case.seed + 10**6).save_pretrained(other)
    in_place = trial.rng.random() < 0.3

    def replace(_: int) -> None:
        if in_place:
            file.write_bytes((other / file.name).read_bytes())
        else:
            os.replace(other / file.name, file)

    moment = trial.moment()
    running = trial.run({"stop": moment.stop()})
    if not trial.strike(running, moment, replace):
        return False
    trial.result.how += ", in place" if in_place else ", renamed"
    code = trial.end(running, 0, 2)
    if _is_from_the_start(trial, file):
        return False
    _refused_by_name(trial, code, running.said(), folder)
    trial.check()
    if trial.store.is_file():
        again = trial.run()
        _refused_by_name(trial, trial.end(again, 2), again.said(), folder)
        trial.check()
    if trial.rng.random() < 0.5:
        shutil.copyfile(kept, file)  # the same weights at another time
    else:
        shutil.copy2(kept, file)
    if code:
        trial.resume()
    trial.finale()
    return True


def _is_from_the_start(trial: Trial, file: Path) -> bool:
    """Whether the new weights were there before the run looked at any."""
    if not trial.store.is_file():
        return False
    table = read_store(trial.store).checkpoints.set_index("name")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    return bool(table.sha256[file.parent.name] == found)


def _refused_by_name(trial: Trial, code: int, said: str, folder: Path) -> None:
    if code and folder.name not in said.split("error:", 1)[-1]:
        trial.fail("the checkpoint is not named")


def loss_not_finite(trial: Trial) -> bool:
    """NaN or infinite losses at one point of a pair: recorded as they are, and named."""
    trial.lay_out()
    rows = _open(trial)
    if not len(rows):
        return False
    pair = rows[int(trial.rng.integers(len(rows)))].tolist()
    point = int(trial.rng.integers(1, POINTS - 1))
    value = trial.one_of("nan", "inf")
    n = len(trial.reference.datasets["dev"].labels)
    first = trial.one_of(0, n - 1)  # of all examples, or of the last one
    plan = {"pair": pair, "t": point / (POINTS - 1), "sets": ["dev"], "value": value}
    running = trial.run({"loss": {**plan, "first": first}, "draw": trial.case.drawing})
    trial.result.rows = len(trial._rows())
    code = trial.end(running, 0)
    if not any(e["says"].startswith(value) for e in running.events()):
        return False
    trial.result.place, trial.result.how = "pairs", f"{value}, {n - first} examples"
    if code == 0:
        _recorded(trial, pair, point, float(value), first)
    return True


def _open(trial: Trial) -> np.ndarray:
    """(n, 2) the pairs that are still to be measured."""
    if not trial.store.is_file():
        return trial.reference.pairs
    results = read_store(trial.store)
    return results.pairs[results.status == 0]


def _recorded(trial: Trial, pair: list[int], point: int, value: float, first: int) -> None:
    """The point is in the store as it was computed, and the report names the pair."""
    results, reference = read_store(trial.store), trial.reference
    row = int(np.flatnonzero((results.pairs == pair).all(1))[0])
    found, wanted = (c.datasets["dev"].losses[row].copy() for c in (results, reference))
    wanted[point, first:] = value
    if not np.array_equal(found, wanted, equal_nan=True):
        trial.fail("the losses are not those that were computed")
    if FORMATS[results.formats[row, point]] != "fp32":
        trial.fail("the point counts as not evaluated")
    page = trial.command("report", str(trial.store), "--out", str(trial.folder / "page.html"))
    if page.code != 0 or "Traceback" in page.said():
        trial.fail(f"no report: {(page.said().strip().splitlines() or ['nothing'])[-1]}")
        return
    names = [results.models[k] for k in pair]
    text = (trial.folder / "page.html").read_text()
    said = [line for line in text.splitlines() if "finite" in line and names[0] in line]
    if not any(names[1] in line for line in said):
        trial.fail("the report does not name the pair")


def memory_once(trial: Trial) -> bool:
    """Single forwards run out of memory: tried again, the numbers are the same."""
    trial.lay_out()
    # the second try goes through all batches once more, and must not fail
    calls = np.cumsum(trial.rng.integers(_BATCHES, 3 * _BATCHES, int(trial.rng.integers(1, 4))))
    calls -= int(trial.rng.integers(_BATCHES))
    return _memory(trial, {"at": calls.tolist(), "most": 0, "from": 0, "times": 0})


def memory_short(trial: Trial) -> bool:
    """For some time no more than so many rows fit: halved, equal to rounding, and noted."""
    trial.lay_out()
    trial.loose = True
    most, times = int(trial.rng.integers(3, 120)), int(trial.rng.integers(2, 41))
    first = int(trial.rng.integers(1, 50))
    return _memory(trial, {"at": [], "most": most, "from": first, "times": times})


def _memory(trial: Trial, plan: dict[str, object]) -> bool:
    running = trial.run({"memory": plan})
    trial.result.rows = len(trial._rows())
    trial.end(running, 0)
    failed = [k for k, e in enumerate(running.events()) if e["says"] == "out of memory"]
    if not failed:
        return False
    _place(trial, running.events()[: failed[0]])
    trial.result.how = f"{len(failed)} times"
    noted = any(plan.get("halved") for plan in read_store(trial.store).plans)
    trial.result.how += ", halved" if noted else ""
    if noted and not trial.loose:
        trial.fail("halved, though the second try fits")
    trial.finale()
    return True
