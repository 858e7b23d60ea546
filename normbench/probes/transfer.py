"""Training a new head on a frozen body: what its BatchNorm layers may do meanwhile."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from normbench.analysis.groups import by_norm
from normbench.analysis.welch import Sample
from normbench.drawing import style
from normbench.drawing.captions import how_many, page, protocol_line
from normbench.drawing.rows import HEIGHT, OURS, mark, norm_rows
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.curves import finished
from normbench.probes.probe import Measurement, Probe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import nn

    from normbench.data.dataset import Dataset, Split
    from normbench.engine.training import Plan, Training

MODES = {
    "training": "frozen weights, training mode",
    "evaluation": "frozen weights, evaluation mode",
    "trained": "weights trained, training mode",
}


@dataclass(kw_only=True)
class Transfer(Probe):
    """A body trained on half of the classes, and a new linear head for the other half.

    The body is the run, as it would be trained on its half. Then all is frozen but the head, which
    is drawn anew and trained with AdamW at a constant rate; what the norms do meanwhile are
    ``MODES``. Accuracy is that of evaluation mode on the other half's validation images.

    Attributes:
        head_batch_sizes: with which the head is trained, one after the other, from the same body.
        head_images: how many images it is trained on, in all.
        head_lr: its learning rate, and the trained norms'.

    Measures:
        body: accuracy on its own half of the classes.
        accuracy: for each of ``MODES``, a number a batch size.
    """

    together: ClassVar[tuple[str, ...]] = ("seed",)

    head_batch_sizes: list[int]
    head_images: int
    head_lr: float

    def check(self, network: torch.nn.Module, steps: int) -> None:
        _head(network)
        if not batchnorms(network):
            raise UserError("the network has no norm with running statistics: there is no choice")
        check_positive("probe.head_lr", [self.head_lr])
        if not self.head_batch_sizes or min(self.head_batch_sizes) < 2:
            raise UserError(
                f"probe.head_batch_sizes={self.head_batch_sizes} is not valid: give numbers from 2"
            )

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        import math

        from normbench.engine.training import Training, finish

        start = time.perf_counter()
        half = len(data.classes) // 2
        first, second = (
            replace(data, train=of(data.train, half, later), val=of(data.val, half, later))
            for later in (False, True)
        )
        training = Training(plan, first, device)
        for _ in range(plan.epochs):
            loss = yield from training.epoch()
            if not math.isfinite(loss):
                return Measurement({}, "diverged", time.perf_counter() - start)
        _, body = finish(training.evaluate(first.val))
        training.data = second
        accuracy = {
            mode: [self._head_trained(training, mode, size) for size in self.head_batch_sizes]
            for mode in MODES
        }
        measured = {"body": body, "accuracy": accuracy}
        return Measurement(measured, seconds=time.perf_counter() - start)

    def _head_trained(self, training: Training, mode: str, size: int) -> float:
        """Accuracy of a head that was trained on a copy of the body."""
        import torch
        import torch.nn.functional as F

        from normbench.engine.training import finish

        body = training.model
        training.model = model = copy.deepcopy(body)
        generator = torch.Generator().manual_seed(training.plan.seed)
        head = _head(model)
        with torch.random.fork_rng():
            torch.manual_seed(training.plan.seed)
            head.reset_parameters()
        model.requires_grad_(False)
        trained = [head, *(batchnorms(model) if mode == "trained" else [])]
        for module in trained:
            module.requires_grad_(True)
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.head_lr)
        model.train(mode != "evaluation")
        images = training.data.train
        for _ in range(self.head_images // size):
            index = torch.randint(len(images.labels), (size,), generator=generator)
            index = index.to(images.labels.device)
            optimizer.zero_grad()
            with training.autocast():
                logits = model(training.inputs(images.images[index]))
            F.cross_entropy(logits.float(), images.labels[index]).backward()
            optimizer.step()
        _, accuracy = finish(training.evaluate(training.data.val))
        training.model = body
        return accuracy

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(finished(records))
        looks = style.looks(norms)
        sizes = records[0]["config"]["probe"]["head_batch_sizes"]
        height = 1.1 + HEIGHT * 1.3 * len(MODES) * len(norms)
        with style.figure(1, len(sizes), height, sharex=True) as (fig, axes):
            for i, (ax, size) in enumerate(zip(axes[0], sizes, strict=True)):
                rows = [f"{norm}: {said}" for norm in norms for said in MODES.values()]
                norm_rows(ax, rows)
                ax.tick_params(labelleft=i == 0)
                row = 0
                for norm, group in norms.items():
                    for mode in MODES:
                        values = [r["measured"]["accuracy"][mode][i] for r in group]
                        mark(ax, Sample.of(values), row, OURS | {"color": looks[norm].color})
                        row += 1
                ax.set(title=f"batch size {size}", xlabel="accuracy on the other classes")
            style.caption(fig, f"{_what(records)} {protocol_line(records)}.")
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(finished(records)).items():
            for i, size in enumerate(group[0]["config"]["probe"]["head_batch_sizes"]):
                for mode, said in MODES.items():
                    sample = Sample.of([r["measured"]["accuracy"][mode][i] for r in group])
                    assert sample is not None
                    rows.append([norm, f"{size}", said, sample.mean, sample.std or 0.0])
        table = number_table(["norm", "batch", "norms", "accuracy", "std"], rows)
        return page("A new head on a frozen body", records, table, _what(records))


def of(split: Split, half: int, later: bool) -> Split:
    """The images of the first classes or of the later ones, these numbered from 0."""
    from normbench.data.dataset import Split

    chosen = (split.labels >= half) if later else (split.labels < half)
    return Split(split.images[chosen], split.labels[chosen] - half * later)


def batchnorms(model: nn.Module) -> list[nn.Module]:
    """The norms of a network that have running statistics."""
    return [m for m in model.modules() if getattr(m, "running_mean", None) is not None]


def _head(model: nn.Module) -> Any:
    from torch import nn

    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise UserError(f"the model {type(model).__name__} has no linear head to train")
    return layers[-1]


def _what(records: list[Record]) -> str:
    probe = records[0]["config"]["probe"]
    return (
        "The body is trained on the first half of the classes, a new head on "
        f"{probe['head_images']:,} images of the other half (AdamW, {probe['head_lr']:g}); "
        f"accuracy on its validation images, mean ± standard deviation over {how_many(records)}."
    )
