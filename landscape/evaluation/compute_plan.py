"""How the numbers of a run are computed: what must be the same for bytes to be the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from landscape.evaluation.engine import Precision
from landscape.evaluation.plan import Plan


@dataclass(frozen=True)
class Machine:
    """What computes; as in ``ComputePlan``."""

    machine: str
    device: str
    torch: str


@dataclass(frozen=True)
class ComputePlan:
    """How all workers of a run compute.

    Attributes:
        machine: The GPU's name, or the processor's.
        device: cpu or cuda.
        torch: Its version.
        threads: Of a CPU.
        tokens: Of a batch.
        exact: The number format of what is reported.
        fast: The one to screen in, where there is one.
        plans: For each format, a plan of ``evaluate``.
        halved: Whether a batch had to be halved, for want of memory.
    """

    machine: str
    device: str
    torch: str
    threads: int
    tokens: int
    exact: Precision
    fast: Precision | None
    plans: dict[Precision, Plan] = field(repr=False)
    halved: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ComputePlan:
        """From what ``to_json`` gave."""
        plans = {name: Plan(**plan) for name, plan in content["plans"].items()}
        names = {column.name for column in fields(cls)}
        return cls(**{**{k: v for k, v in content.items() if k in names}, "plans": plans})

    def on(self, here: Machine) -> ComputePlan:
        """The same on another machine."""
        return replace(self, machine=here.machine, device=here.device, torch=here.torch)

    def __str__(self) -> str:
        screen = f"{self.fast} to screen, {self.exact} for what decides a gap"
        formats = screen if self.fast else self.exact
        threads = f", {self.threads} threads" if self.device == "cpu" else ""
        strategy = self.plans[self.exact].strategy
        return f"{formats}; {self.device}{threads}, {strategy}, {self.tokens} tokens a batch"
