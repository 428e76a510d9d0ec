"""Results of every sort, made up from a seed; nothing heavy is imported."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from landscape.records import Measured, Results, StoredDataset, StoredPath

WORDS = np.array(["", "cat", "ein Hund läuft", "猫\n犬", "a/b %"])
NOTHING = {"f": np.nan, "u": 255}


def make(seed: int = 0, n_models: int = 4, n_points: int = 4, *, active: bool = False) -> Results:
    """Some pairs and models are not measured, some points not evaluated or only screened."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(combinations(range(n_models), 2)), np.int32).reshape(-1, 2)
    if active:
        pairs = pairs[rng.permutation(len(pairs))[: len(pairs) // 2]]
    n_pairs = len(pairs)
    model_status = (rng.random(n_models) < 0.8).astype(np.uint8)
    status = (model_status[pairs].all(1) & (rng.random(n_pairs) < 0.8)).astype(np.uint8)
    formats = rng.choice([0, 1, 3], (n_pairs, n_points)).astype(np.uint8)
    formats[:, [0, -1]] = 1
    formats[status == 0] = 0
    names = tuple(f"{WORDS[i % 5]}{i}" for i in range(n_models))
    sets = [
        _dataset(rng, "dev", 3, False, pairs, model_status, formats),
        _dataset(rng, "härter", 5, False, pairs, model_status, formats),
        _dataset(rng, "means", 1, True, pairs, model_status, formats),
    ]
    paths = [_path(rng, sets, names, kind) for kind in ("line", "pca")]
    return Results(
        path=Path("store.h5"),
        attributes={"device": "cpu", "precision": "auto", "machine": "älter", "finished": "no"},
        config={"name": "é", "task": {"labels": ["no", "yes"]}, "paths": [{"kind": "line"}]},
        models=names,
        checkpoints=pd.DataFrame(
            {
                "name": names,
                "ref": [f"models/{name}" for name in names],
                "sha256": "0" * 64,
                "labels": "no, ja",
                "revision": "",
                "fingerprint": "[]",
                "seed": np.arange(n_models, dtype=float),
                "step": np.nan,
            }
        ),
        pairs=pairs,
        status=status,
        model_status=model_status,
        positions=np.linspace(0, 1, n_points),
        formats=formats,
        tolerance=np.where(status, rng.random(n_pairs), np.nan),
        datasets={data.name: data for data in sets},
        points={path.name: path for path in paths},
        indicators={"toy": _indicator(rng, n_models, n_pairs)},
        distances=rng.random((n_models, n_models)),
        chosen="active" if active else "all",
        given_scores=pd.DataFrame(
            {"steps/1000": rng.random(n_models), "hans: é": np.nan},
            index=pd.Index(names, name="model"),
        ),
        score_roles={"steps/1000": "covariate", "hans: é": "challenge"},
        plans=[{"tokens": 16}, {"tokens": 64, "name": "ä"}],
        plan=_where(formats[:, 1:-1].any(1), rng.integers(0, 2, n_pairs), "u1"),
        model_plan=_where(model_status == 1, np.ones(n_models), "u1"),
    )


def _where(there: np.ndarray, values: np.ndarray, dtype: str) -> np.ndarray:
    """Values where something is there, along the first axes."""
    mask = there.reshape(*there.shape, *[1] * (values.ndim - there.ndim))
    return np.where(mask, values, NOTHING[dtype[0]]).astype(dtype)


def _dataset(
    rng: np.random.Generator,
    name: str,
    n: int,
    aggregated: bool,
    pairs: np.ndarray,
    model_status: np.ndarray,
    formats: np.ndarray,
) -> StoredDataset:
    kinds = {"losses": "f4", "predictions": "u1", "screened": "f8", "difference": "f4"}
    arrays = {}
    for kind, dtype in (kinds | ({"accuracies": "f4"} if aggregated else {})).items():
        rest = (n,) if kind in ("losses", "predictions") else ()
        models = _where(model_status == 1, 200 * rng.random((len(model_status), *rest)), dtype)
        cube = _where(formats > 0, 200 * rng.random((*formats.shape, *rest)), dtype)
        measured = formats[:, 0] > 0
        if not aggregated:  # else the pairs' ends are other means than the models'
            for end, column in zip((0, -1), pairs.T, strict=True):
                cube[measured, end] = models[column[measured]]
        arrays |= {kind: cube, f"model_{kind}": models}
    return StoredDataset(
        name=name,
        role="in_domain" if name == "dev" else "challenge",
        metric="accuracy" if name == "dev" else "matthews",
        label_names=("no", "ja ✓"),
        labels=rng.integers(0, 2, n).astype(np.uint8),
        groups={"size / label": WORDS[rng.integers(0, 5, n)].astype(object)},
        content_hash="" if aggregated else "ab" * 32,
        texts={} if aggregated else {"text 1": WORDS[rng.integers(0, 5, n)].astype(object)},
        aggregated=aggregated,
        **arrays,
    )


def _path(
    rng: np.random.Generator, sets: list[StoredDataset], names: tuple[str, ...], kind: str
) -> StoredPath:
    shape = (3,) if kind == "line" else (2, 3)
    n = int(np.prod(shape))
    status = rng.integers(0, 2, n).astype(np.uint8)
    sizes = {data.name: (n, len(data.labels)) for data in sets}
    return StoredPath(
        name=f"{kind}.of {names[0]}".replace("/", "_").replace("\n", " "),
        kind=kind,
        models=names[:2],
        marks=rng.random((len(names[:2]), len(shape))),
        positions=rng.random((n, len(shape))),
        shape=shape,
        lengths=rng.random(n),
        status=status,
        losses={name: _where(status == 1, rng.random(size), "f4") for name, size in sizes.items()},
        predictions={
            name: _where(status == 1, np.ones(size), "u1") for name, size in sizes.items()
        },
        notes={"text": "é", "training_loss": 0.25},
        plan=_where(status == 1, np.zeros(n), "u1"),
    )


def _indicator(rng: np.random.Generator, n_models: int, n_pairs: int) -> Measured:
    n = n_models + n_pairs
    return Measured(
        path=np.arange(n, dtype=np.int32),
        point=np.array([0] * n_models + [1] * n_pairs, np.int32),
        plan=np.zeros(n, np.uint8),
        arrays={"dev/spread": rng.random((n, 3, 2)), "share": rng.integers(0, 9, n)},
        dims={"dev/spread": ("example", "half"), "share": ()},
        units={"dev/spread": "nats"},
    )
