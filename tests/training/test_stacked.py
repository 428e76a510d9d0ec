"""Training many models at once against training each alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator

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


def test_equals_separate_training() -> None:
    starts = [Net(seed) for seed in range(MODELS)]
    untouched = copy.deepcopy(starts[0].state_dict())
    params = [dict(net.named_parameters()) for net in starts]
    trained = train_stacked(starts[0], params, batches(), RATES, STEPS, half)
    assert all(torch.equal(untouched[name], t) for name, t in starts[0].state_dict().items())
    norms: list[float] = []
    for i, net in enumerate(starts):
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATES[i])
        for step, (inputs, labels) in enumerate(batches()):
            optimizer.param_groups[0]["lr"] = RATES[i] * half(step)
            loss = nn.functional.cross_entropy(net(inputs["x"][i]), labels[i])
            optimizer.zero_grad()
            loss.backward()
            norms.append(float(nn.utils.clip_grad_norm_(net.parameters(), 1.0)))
            optimizer.step()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(trained[i][name], parameter.detach(), atol=2e-5, rtol=1e-4)
    assert min(norms) < 1 < max(norms)
