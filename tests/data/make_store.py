"""Makes a small store of the current format: ``python -m tests.data.make_store``.

The engine's own evaluation has no part in it: weights are mixed and forwards run plainly, a text
at a time, in fp32 and in bf16. Which points are kept is laid down in ``KEPT``.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from landscape.analysis.barriers import convexity_gap
from landscape.checkpoints import load_population
from landscape.records.store import (
    ENCODING_VERSION,
    FORMATS,
    Published,
    StoredPath,
    StoreWriter,
    create_store,
    write_published,
)
from landscape.run.inputs import open_experiment, stored_config
from landscape.run.provenance import attributes, checkpoint_table
from landscape.tasks import Examples
from tests.tiny import make_model, make_tokenizer, save_population, write_experiment, write_task

PAIRS = np.array([(0, 1), (0, 2), (1, 2)])
POSITIONS = np.linspace(0, 1, 9)
KEPT = (  # of every pair's inner points: "f" evaluated again in fp32, "b" screened only, "." not
    "fffffff",
    ".b.f.b.",
    ".f.bbf.",
)

Measured = dict[str, tuple[np.ndarray, np.ndarray]]


def main() -> None:
    path = Path(__file__).with_name(f"store-{ENCODING_VERSION}.h5")
    path.unlink(missing_ok=True)
    models = [make_model("bert", seed) for seed in range(3)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_population(folder / "population", "bert", 3)
        task = write_task(folder, 20)
        experiment = open_experiment(
            write_experiment(folder / "tiny.yaml", Path("population"), task, examples=20)
        )
        config = stored_config(experiment)
        config["path"]["points"] = len(POSITIONS)
        config["evaluate"]["precision"] = "auto"
        config["out"] = "out"
        population = load_population(
            experiment.config.checkpoints, experiment.task.labels, base=experiment.base
        )
        table = checkpoint_table(population)
        create_store(
            path,
            config=config,
            attributes={**attributes(experiment), "precision": "auto"},
            checkpoints=table,
            pairs=PAIRS,
            positions=POSITIONS,
            datasets=experiment.examples,
            plans=[{"texts at a time": 1, "screened in": "bf16"}],
        )
    sets = [data for _, data in experiment.examples]
    with StoreWriter(path) as writer:
        for i, model in enumerate(models):
            exact, fast = measure([model], sets), measure([model], sets, torch.bfloat16)
            writer.write_model(
                i,
                {name: (losses[0], labels[0]) for name, (losses, labels) in exact.items()},
                screened={
                    name: (fast[name][0].mean(), np.abs(fast[name][0] - losses).max())
                    for name, (losses, _) in exact.items()
                },
                plan=0,
            )
        for k, (a, b) in enumerate(PAIRS):
            write_pair(writer, k, [between(models[a], models[b], t) for t in POSITIONS], sets)
        write_way(writer, models, sets)
        write_surface(writer, models, sets)
        writer.write_distances(weight_distances(models))
        writer.finish(config)
    print(path, path.stat().st_size)
    published = path.with_name(f"published-{ENCODING_VERSION}.h5")
    write_some(published)
    print(published, published.stat().st_size)


def weight_distances(models: list[torch.nn.Module]) -> np.ndarray:
    """(n_models, n_models) Euclidean, of all parameters."""
    flat = [
        torch.nn.utils.parameters_to_vector(model.parameters()).detach().double()
        for model in models
    ]
    return np.array([[float((a - b).norm()) for b in flat] for a in flat])


def write_some(path: Path) -> None:
    """Mean losses as others publish them: four models, of which two never meet."""
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)])
    t = np.linspace(0, 1, 5)
    rise = np.array([0.0, 0.4, 0.4, 0.4, 0.4])[:, None] * 4 * t * (1 - t)
    challenge = 1.5 - rise
    challenge[4, 2] = np.nan
    write_published(
        path,
        models=("a", "b", "c", "d"),
        pairs=pairs,
        positions=t,
        datasets={
            "dev": Published("in_domain", "accuracy", 0.5 + rise, 0.8 - rise / 2),
            "hard": Published("challenge", "accuracy", challenge, None, [1.5, 1.5, 1.5, 1.5]),
        },
        scores=pd.DataFrame({"hard: x/y": [0.2, 0.3, 0.7, 0.8], "sharpness": [1.0, 2.0, 3.0, 4.0]}),
        roles={"hard: x/y": "challenge", "sharpness": "covariate"},
        attributes={"source": "made up"},
        config={"name": "published"},
    )


def between(a: torch.nn.Module, b: torch.nn.Module, t: float) -> torch.nn.Module:
    mixed = copy.deepcopy(a)
    with torch.no_grad():
        for own, other in zip(mixed.parameters(), b.parameters(), strict=True):
            own.lerp_(other, float(t))
    return mixed


def measure(
    models: list[torch.nn.Module], sets: list[Examples], dtype: torch.dtype = torch.float32
) -> Measured:
    """Losses and predictions (n_models, n_examples) of every set."""
    tokenizer = make_tokenizer()
    found = {}
    for data in sets:
        logits = np.zeros((len(models), len(data), 2))
        for row, model in enumerate(models):
            cast = copy.deepcopy(model).to(dtype)
            for column, text in enumerate(data.texts[0]):
                with torch.no_grad():
                    inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
                    logits[row, column] = cast(**inputs).logits[0].float()
        scores = torch.log_softmax(torch.tensor(logits), -1).numpy()
        losses = -scores[:, np.arange(len(data)), data.labels]
        found[data.name] = (losses.astype(np.float32), logits.argmax(-1).astype(np.uint8))
    return found


def write_pair(
    writer: StoreWriter, pair: int, models: list[torch.nn.Module], sets: list[Examples]
) -> None:
    exact, fast = measure(models, sets), measure(models, sets, torch.bfloat16)
    kept = np.array(list("f" + KEPT[pair] + "f"))
    curve = exact[sets[0].name][0].mean(1, dtype=np.float64)
    full = kept == "f"
    missed = convexity_gap(curve, POSITIONS) - convexity_gap(curve[full], POSITIONS[full])
    inner = kept[1:-1]
    outputs, screened = {}, {}
    for name, both in exact.items():
        losses, labels = (
            np.where((inner == "f")[:, None], x[1:-1], y[1:-1])
            for x, y in zip(both, fast[name], strict=True)
        )
        outputs[name] = (losses, labels)
        means = np.where(inner == ".", np.nan, fast[name][0][1:-1].mean(1, dtype=np.float64))
        differences = np.abs(fast[name][0] - both[0])[1:-1].max(1)
        screened[name] = (means, np.where(inner == "f", differences, np.nan))
    codes = {"f": FORMATS.index("fp32"), "b": FORMATS.index("bf16"), ".": 0}
    writer.write_pair(
        pair,
        outputs,
        formats=[codes[kind] for kind in inner],
        tolerance=float(missed) if (inner != "f").any() else 0.0,
        screened=screened,
        plan=0,
    )


def write_way(writer: StoreWriter, models: list[torch.nn.Module], sets: list[Examples]) -> None:
    """Five points of the line between the last two models, of which the fourth is missing."""
    t = np.linspace(0, 1, 5)
    distance = float(
        sum(
            (a - b).detach().double().square().sum()
            for a, b in zip(models[1].parameters(), models[2].parameters(), strict=True)
        ).sqrt()
    )
    writer.add_points(
        StoredPath(
            name="straight",
            kind="line",
            models=("member-1", "member-2"),
            marks=np.array([[0.0], [1.0]]),
            positions=t[:, None],
            shape=(5,),
            lengths=t * distance,
            status=np.zeros(5, dtype=np.uint8),
            losses={},
            predictions={},
            notes={"between": ["member-1", "member-2"]},
        )
    )
    kept = [0, 1, 2, 4]
    values = measure([between(models[1], models[2], t[k]) for k in kept], sets)
    writer.write_points("straight", kept, values, plan=writer.add_plan({"texts at a time": 1}))


def write_surface(writer: StoreWriter, models: list[torch.nn.Module], sets: list[Examples]) -> None:
    """The square spanned by the differences from the first model to the others."""
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    points = []
    for x, y in corners:
        mixed = copy.deepcopy(models[0])
        with torch.no_grad():
            for own, a, b, c in zip(
                mixed.parameters(), *(model.parameters() for model in models), strict=True
            ):
                own.copy_(a + x * (b - a) + y * (c - a))
        points.append(mixed)
    writer.add_points(
        StoredPath(
            name="square",
            kind="plane",
            models=tuple(f"member-{i}" for i in range(3)),
            marks=np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
            positions=np.array(corners, dtype=np.float64),
            shape=(2, 2),
            lengths=np.full(4, np.nan),
            status=np.zeros(4, dtype=np.uint8),
            losses={},
            predictions={},
            notes={},
        )
    )
    writer.write_points("square", range(4), measure(points, sets))


if __name__ == "__main__":
    main()
