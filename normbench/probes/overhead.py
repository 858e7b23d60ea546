"""What a norm costs: time and memory, beside the same network with another norm or none."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import how_many, protocol_line
from normbench.drawing.text import number_table
from normbench.probes.probe import Measurement
from normbench.probes.timing import TimingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan, Training

TITLES = {"train": "training step", "forward": "forward pass", "kept": "memory kept for backward"}
BATCHES = 50  # different ones to train on


@dataclass(kw_only=True)
class Overhead(TimingProbe):
    """Time of a training step and of a forward pass, and memory, of the run's network and of the
    same one with another norm, measured in turns.

    A training step is the engine's, driven by the host: it takes a batch by index, runs forward
    and backward and updates the parameters. The forward pass is one of evaluation.

    Attributes:
        model, reference, rounds, seconds: see TimingProbe.

    Measures:
        train, forward, reference_train, reference_forward: seconds, one number a round.
        kept, reference_kept: bytes that the forward pass of a training step keeps for the backward
            pass, without parameters and inputs.
        peak, reference_peak: bytes that CUDA had allocated at most during a training step, less
            those before it; None on the CPU.
    """

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        from normbench.probes.cost import peak_bytes, saved_bytes

        start = time.perf_counter()
        reference = self.reference_plan(plan, data)
        actions: dict[str, Callable[[], None]] = {}
        measured: dict[str, Any] = {}
        for prefix, made in (("", plan), ("reference_", reference)):
            actions[f"{prefix}train"] = training_steps(made, data, device)
            actions[f"{prefix}forward"] = forward_passes(made, data, device)
            measured[f"{prefix}peak"] = peak_bytes(actions[f"{prefix}train"], device)
            measured[f"{prefix}kept"] = saved_bytes(*forward_for_backward(made, data, device))
        measured |= yield from self.times(actions, device)
        return Measurement(measured, seconds=time.perf_counter() - start)

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        sizes = sorted({record["batch_size"] for record in records}, reverse=True)
        with style.figure(1, 3, height=1.6 + 0.3 * len(norms), sharey=True) as (fig, axes):
            for (part, title), ax in zip(TITLES.items(), axes[0], strict=True):
                for row, (norm, group) in enumerate(norms.items()):
                    color, _ = looks[norm]
                    for i, size in enumerate(sizes):
                        low, middle, high = overhead(group, size, part)
                        ax.errorbar(
                            middle, row + 0.3 * (i - (len(sizes) - 1) / 2),
                            xerr=[[middle - low], [high - middle]],
                            fmt="os^D"[i % 4], color=color, mfc="white" if i else color,
                        )  # fmt: skip
                ax.axvline(1, color=style.INK, lw=0.8, ls=":")
                ax.set_title(title)
                ax.set_xlabel("relative to " + records[0]["config"]["probe"]["reference"])
            axes[0, 0].set_yticks(range(len(norms)), norms)
            axes[0, 0].set_ylim(len(norms) - 0.5, -0.5)
            for i, size in enumerate(sizes):
                axes[0, 0].plot(
                    [], [], "os^D"[i % 4], color=style.INK, mfc="white" if i else style.INK,
                    label=f"batch size {size}",
                )  # fmt: skip
            style.legend(fig, axes[0, 0], len(sizes))
            style.caption(fig, f"{_what(records)}. {_where(records)}.")
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        tables = []
        for size in sorted({record["batch_size"] for record in records}, reverse=True):
            rows = []
            for norm, group in by_norm(r for r in records if r["batch_size"] == size).items():
                row = [
                    norm,
                    *overhead(group, size, "train"),
                    *overhead(group, size, "forward"),
                    overhead(group, size, "kept")[1],
                ]
                rows.append(row)
            columns = [
                f"{name}{quartile}"
                for name in ("training", "forward")
                for quartile in (" 25%", "", " 75%")
            ]
            table = number_table(["norm", *columns, "memory"], rows)
            tables.append(f"**Batch size {size}**\n\n{table}\n\n")
        return f"# What a norm costs\n\n{_where(records)}.\n\n{''.join(tables)}{_what(records)}.\n"


def training_steps(plan: Plan, data: Dataset, device: torch.device) -> Callable[[], None]:
    """A function that takes the next training step of a run."""
    training = _training(plan, data, device)
    batches = itertools.cycle(training.batches()[:BATCHES].to(device))
    return lambda: training.step(next(batches))


def forward_passes(plan: Plan, data: Dataset, device: torch.device) -> Callable[[], None]:
    """A function that evaluates a batch."""
    training = _training(plan, data, device)
    batch = training.batches()[0].to(device)
    images, labels = data.train.images[batch], data.train.labels[batch]
    training.model.eval()
    return lambda: training.evaluate_batch(images, labels)


def forward_for_backward(plan: Plan, data: Dataset, device: torch.device) -> tuple[Any, ...]:
    """What ``saved_bytes`` takes, for the forward pass of a training step."""
    import torch.nn.functional as F

    training = _training(plan, data, device)
    batch = training.batches()[0].to(device)
    inputs, labels = training.inputs(data.train.images[batch]), data.train.labels[batch]

    def forward() -> torch.Tensor:
        with training.autocast():
            logits = training.model(inputs)
        return F.cross_entropy(logits.float(), labels)

    return forward, training.model, inputs, labels


def _training(plan: Plan, data: Dataset, device: torch.device) -> Training:
    from normbench.engine.training import Training

    training = Training(plan, data, device)
    training.model.train()
    return training


def overhead(group: list[Record], batch_size: int, part: str) -> tuple[float, float, float]:
    """What a norm costs relative to the reference: first quartile, median and third quartile over
    the rounds of all seeds.

    Args:
        group: records of one norm.
        batch_size: of those that count.
        part: train, forward, kept or peak.
    """
    ratios = [
        array(record["measured"][part]) / array(record["measured"][f"reference_{part}"])
        for record in group
        if record["batch_size"] == batch_size
    ]
    low, middle, high = np.percentile(np.hstack(ratios), [25, 50, 75]) if ratios else [np.nan] * 3
    return float(low), float(middle), float(high)


def _what(records: list[Record]) -> str:
    probe = records[0]["config"]["probe"]
    return (
        f"Relative to the same network with {probe['reference']}, both measured in turns in "
        f"{probe['rounds']} rounds a seed: median and quartiles over the rounds of "
        f"{how_many(records)}. Memory: what the forward pass of a "
        "training step keeps for the backward pass, without parameters and inputs"
    )


def _where(records: list[Record]) -> str:
    devices = sorted({record["environment"]["device"] for record in records})
    return f"{protocol_line(records, trained=False)}; on {', '.join(devices)}"
