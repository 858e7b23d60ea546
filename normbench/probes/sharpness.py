"""How sharp the minimum is that a run is in: Keskar et al. 2017, https://arxiv.org/abs/1609.04836,
metric 2.1"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from normbench.analysis.averages import geometric_mean
from normbench.analysis.groups import by_norm, groups
from normbench.drawing import style
from normbench.drawing.captions import page, protocol_line
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.curves import finished
from normbench.probes.probe import WatchingProbe, check_every, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from normbench.probes.watching import Watched


@dataclass(kw_only=True)
class Sharpness(WatchingProbe):
    """The ε-sharpness of the training loss, when it first falls to a level, and after training.

    The loss is that of a fixed batch of training images in training mode. Its sharpness at x is

        100 · (max L(x + δ) - L(x)) / (1 + L(x)),    abs(δᵢ) ≤ ε (abs(xᵢ) + 1)

    with the maximum looked for by so many steps of ascent along the gradient's signs, cut to the
    box; the paper uses L-BFGS-B. So the number is a lower bound of its.

    Attributes:
        steps: see WatchingProbe.
        level: of the loss, at which runs are compared.
        every: steps between two looks at the loss.
        epsilon: ε.
        ascent: steps of it.
        images: in the batch.

    Measures:
        reached: after how many steps the loss was at the level; None if it never was.
        matched, matched_accuracy, matched_loss: sharpness, validation accuracy and the batch's loss
            there; None where it never was.
        last, val_accuracy, last_loss: the same after training.
    """

    together: ClassVar[tuple[str, ...]] = ("seed", "lr")

    level: float
    every: int
    epsilon: float
    ascent: int
    images: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_every(self.every, self.length(steps))
        check_positive("probe.epsilon", [self.epsilon])
        for name in ("ascent", "images"):
            if getattr(self, name) < 1:
                raise UserError(f"probe.{name}={getattr(self, name)} is not valid: give 1 or more")

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import numbers

        count, seed = len(run.training.train.labels), run.training.plan.seed
        drawn = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        batch = drawn[: self.images].to(run.training.device)
        found: dict[str, Any] = dict.fromkeys(("reached", *_MATCHED))
        for step in [*range(self.every, run.steps, self.every), run.steps]:
            if not (yield step):
                return found
            with torch.no_grad():
                loss = run.loss(batch).item()
            if loss <= self.level:
                here = self._here(run, batch)
                found |= {"reached": step, **dict(zip(_MATCHED, here, strict=True))}
                break
        if not (yield run.steps):
            return found
        last = dict(zip(_LAST, self._here(run, batch), strict=True))
        return {
            name: value if value is None else numbers(value)
            for name, value in (found | last).items()
        }

    def _here(self, run: Watched, batch: Tensor) -> tuple[float, float | None, float]:
        """Sharpness, validation accuracy and the batch's loss."""
        run.model.train()
        loss = run.loss_function(batch)
        sharpness, value = epsilon_sharpness(loss, loss.here, self.epsilon, self.ascent)
        return sharpness, run.evaluate()["val_accuracy"], value

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        records = finished(records)
        norms = by_norm(records)
        looks = style.looks(norms)
        with style.figure(1, 2, 3.3) as (fig, axes):
            for ax, sharp, accurate in (
                (axes[0, 0], "matched", "matched_accuracy"),
                (axes[0, 1], "last", "val_accuracy"),
            ):
                for norm, group in norms.items():
                    color, marker = looks[norm]
                    rates = sorted({r["lr"] for r in group})
                    for i, rate in enumerate(rates):
                        of = [r["measured"] for r in group if r["lr"] == rate]
                        points = [(m[sharp], m[accurate]) for m in of if m.get(sharp) is not None]
                        if points:
                            x, y = zip(*points, strict=True)
                            alpha = 0.35 + 0.65 * i / max(1, len(rates) - 1)
                            name = f"{norm}, lr {rate:g}"
                            ax.plot(x, y, marker, color=color, alpha=alpha, label=name)
                ax.set_xlabel("ε-sharpness")
                style.log_scale(ax, "x")
            axes[0, 0].set(ylabel="validation accuracy", title="at the same training loss")
            axes[0, 1].set_title("after training")
            style.legend(fig, axes[0, 1], 3)
            probe = records[0]["config"]["probe"]
            style.caption(
                fig,
                f"A point a run. Left: where the loss of {probe['images']} training images first "
                f"fell to {probe['level']:g}. ε = {probe['epsilon']:g}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, of_norm in by_norm(finished(records)).items():
            for rate, group in groups(of_norm, lambda r: r["lr"]):
                of = [r["measured"] for r in group if r["measured"].get("matched") is not None]
                matched = [geometric_mean([m["matched"] for m in of]) if of else np.nan]
                matched.append(np.mean([m["matched_accuracy"] for m in of]) if of else np.nan)
                last = [geometric_mean([r["measured"]["last"] for r in group])]
                last.append(np.mean([r["measured"]["val_accuracy"] for r in group]))
                rows.append([norm, f"{rate:g}", *matched, *last])
        headings = ["norm", "learning rate", "sharpness at the level", "accuracy there"]
        headings += ["sharpness at the end", "accuracy"]
        return page("How sharp the minima are", records, number_table(headings, rows))


_MATCHED = ("matched", "matched_accuracy", "matched_loss")
_LAST = ("last", "val_accuracy", "last_loss")


def epsilon_sharpness(loss: Any, x: Tensor, epsilon: float, ascent: int) -> tuple[float, float]:
    """The sharpness of a loss at x (P,), and the loss there."""
    from normbench.calculus.line import gradient

    value = loss(x).item()
    reach = epsilon * (x.abs() + 1)
    there, highest = x.clone(), value
    for _ in range(ascent):
        here, slope = gradient(loss, there)
        highest = max(highest, here.item())
        stepped = there + 2 / ascent * reach * slope.sign()
        there = stepped.clamp(min=x - reach, max=x + reach)
    highest = max(highest, loss(there).item())
    return 100 * (highest - value) / (1 + value), value
