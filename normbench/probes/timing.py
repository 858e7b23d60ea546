"""What probes have in common that time a network beside the same one with another norm."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from normbench.errors import UserError
from normbench.probes.probe import Probe, check_positive

if TYPE_CHECKING:
    import torch

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan


@dataclass(kw_only=True)
class TimingProbe(Probe):
    """Times of the run's network and of the same one with another norm, measured in turns.

    Attributes:
        model: the model's config.
        reference: the name of the norm to compare with.
        rounds: in each, everything is measured once.
        seconds: roughly how long to repeat each thing in a round.
    """

    together: ClassVar[tuple[str, ...]] = ("seed", "batch_size")

    model: dict[str, Any]
    reference: str
    rounds: int
    seconds: float

    def check(self, network: torch.nn.Module, steps: int) -> None:
        from normbench.models import build_model

        if self.rounds < 1:
            raise UserError(f"probe.rounds={self.rounds} is not valid: give 1 or more")
        check_positive("probe.seconds", [self.seconds])
        build_model(self.model, self.reference)

    def length(self, steps: int) -> int:
        return self.rounds

    def reference_plan(self, plan: Plan, data: Dataset) -> Plan:
        """The run with the other norm."""
        from normbench.models import build_model

        classes, channels = len(data.classes), len(plan.mean)
        return replace(
            plan, model=lambda: build_model(self.model, self.reference, classes, channels)
        )

    def times(
        self, actions: Mapping[str, Callable[[], object]], device: torch.device
    ) -> Generator[int, None, dict[str, list[float]]]:
        """Seconds that a call of each action takes, one number a round."""
        from normbench.probes.cost import seconds_in_turns

        times: dict[str, list[float]] = {name: [] for name in actions}
        for seconds in seconds_in_turns(actions, self.rounds, self.seconds, device):
            for name, value in seconds.items():
                times[name].append(float(f"{value:.6g}"))
            yield 1
        return times
