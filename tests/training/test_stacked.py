"""Training many models at once against training each alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from landscape.training.stacked import train_stacked

STEPS, BATCH, MODELS = 12, 6, 3
RATES = [0.02, 0.01, 0.005]


class Net(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.inner, self.head = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.inner(x)))


def batches() -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield (
            {"x": 3 * torch.randn(MODELS, BATCH, 5, generator=generator)},
            torch.randint(0, 3, (MODELS, BATCH), generator=generator),
        )


def half(step: int) -> float:
    return 1.0 if step < STEPS // 2 else 0.5


@pytest.mark.parametrize("rates", [[0.01] * MODELS, RATES])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_equals_separate_training(rates: list[float], clip: float | None) -> None:
    starts = [Net(seed) for seed in range(MODELS)]
    untouched = copy.deepcopy(starts[0].state_dict())
    losses: list[Tensor] = []
    trained = train_stacked(
        starts[0],
        [dict(net.named_parameters()) for net in starts],
        batches(),
        rates,
        rate=half,
        weight_decay=0.1,
        clip=clip,
        on_step=lambda step, loss: losses.append(loss),
    )
    assert all(torch.equal(untouched[name], t) for name, t in starts[0].state_dict().items())
    assert len(losses) == STEPS
    for i, net in enumerate(starts):
        optimizer = torch.optim.AdamW(net.parameters(), lr=rates[i], weight_decay=0.1)
        for step, (inputs, labels) in enumerate(batches()):
            optimizer.param_groups[0]["lr"] = rates[i] * half(step)
            loss = nn.functional.cross_entropy(net(inputs["x"][i]), labels[i])
            torch.testing.assert_close(losses[step][i], loss.detach(), atol=2e-5, rtol=1e-5)
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(trained[i][name], parameter.detach(), atol=2e-5, rtol=1e-4)
