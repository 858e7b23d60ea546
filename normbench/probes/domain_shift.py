"""What a trained network makes of images that are shifted as no training image was: contrast,
brightness, blur and noise, as in Hendrycks & Dietterich 2019, https://arxiv.org/abs/1903.12261

Evaluating with the batch's statistics: Nado et al. 2020, https://arxiv.org/abs/2006.10963, and
Schneider et al. 2020, https://arxiv.org/abs/2006.16971
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.analysis.welch import Sample
from normbench.drawing import style
from normbench.drawing.captions import mean_and_std, page, protocol_line
from normbench.drawing.rows import HEIGHT, OURS, mark, norm_rows
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.curves import finished
from normbench.probes.probe import WatchingProbe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from normbench.probes.watching import Watched

CLEAN, MODES = "clean", ("eval", "batch")
SHIFTS = ("contrast", "brightness", "blur", "noise")


@dataclass(kw_only=True)
class DomainShift(WatchingProbe):
    """Accuracy, logits and activations on shifted validation images, once training is over.

    Shifts are of images x in [0, 1]. Contrast: m + c (x - m), with m the image's mean of each
    channel. Brightness: x less a part of the range. Blur: Gaussian. Noise: Gaussian, drawn by the
    run's seed. All but contrast are cut to [0, 1].

    Attributes:
        steps: see WatchingProbe.
        contrast: c.
        brightness: what is taken away.
        blur: standard deviation, in pixels.
        noise: standard deviation.
        batch_size: of the validation images, shuffled, where norms take the batch's statistics.

    Measures:
        shifts: their names; the first is none at all.
        accuracy: for ``eval``, norms in evaluation mode, and for ``batch``, in training mode with
            the statistics of each batch: a number a shift.
        logit_change: the root mean square change of the logits from the clean images', over the
            standard deviation of these, in evaluation mode; a number a shift.
        overshoot: the largest absolute input of a layer over that of clean images, as the
            geometric mean over all layers but the first, in evaluation mode; a number a shift.
    """

    contrast: float
    brightness: float
    blur: float
    noise: float
    batch_size: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_positive("probe.contrast", [self.contrast])
        check_positive("probe.blur", [self.blur])
        if self.batch_size < 2:
            raise UserError(f"probe.batch_size={self.batch_size} is not valid: give 2 or more")

    def shifts(self, seed: int) -> dict[str, Callable[[Tensor], Tensor]]:
        """Functions of images (B, C, H, W) in [0, 1], by name."""
        import torch

        generator = torch.Generator().manual_seed(seed)

        def contrast(x: Tensor) -> Tensor:
            middle = x.mean((2, 3), keepdim=True)
            return middle + self.contrast * (x - middle)

        def noise(x: Tensor) -> Tensor:
            drawn = torch.randn(x.shape, generator=generator).to(x.device)
            return (x + self.noise * drawn).clamp(0, 1)

        return {
            CLEAN: lambda x: x,
            "contrast": contrast,
            "brightness": lambda x: (x - self.brightness).clamp(0, 1),
            "blur": lambda x: blurred(x, self.blur).clamp(0, 1),
            "noise": noise,
        }

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        if not (yield run.steps):
            return {}
        split, seed = run.training.data.val, run.training.plan.seed
        order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(seed))
        index = order.to(split.labels.device)
        labels = split.labels[index]
        accuracy: dict[str, list[float]] = {mode: [] for mode in MODES}
        changes, overshoots = [], []
        clean: tuple[Tensor, Tensor] | None = None
        for name in self.shifts(seed):
            logits, largest = self._forward(run, index, self.shifts(seed)[name], training=False)
            clean = clean or (logits, largest)
            accuracy["eval"].append((logits.argmax(1) == labels).double().mean().item())
            changes.append(((logits - clean[0]).square().mean().sqrt() / clean[0].std()).item())
            overshoots.append((largest / clean[1]).log().mean().exp().item())
            # made anew, so that the noise is the same
            logits, _ = self._forward(run, index, self.shifts(seed)[name], training=True)
            accuracy["batch"].append((logits.argmax(1) == labels).double().mean().item())
        return {
            "shifts": [CLEAN, *SHIFTS],
            "accuracy": accuracy,
            "logit_change": _numbers(changes),
            "overshoot": _numbers(overshoots),
        }

    def _forward(
        self, run: Watched, index: Tensor, shift: Callable[[Tensor], Tensor], training: bool
    ) -> tuple[Tensor, Tensor]:
        """Logits of shifted images (N, classes), and each layer's largest absolute input, float64.

        In training mode running averages change, and are put back when the probe goes on.
        """
        import torch
        from torch import nn

        run.model.train(training)
        layers = [m for m in run.model.modules() if isinstance(m, nn.Conv2d | nn.Linear)][1:]
        largest = torch.zeros(len(layers), dtype=torch.float64, device=index.device)

        def look(place: int) -> Callable[..., None]:
            def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                largest[place] = torch.maximum(largest[place], inputs[0].abs().max().double())

            return hook

        hooks = [layer.register_forward_pre_hook(look(i)) for i, layer in enumerate(layers)]
        found = []
        with torch.no_grad(), run.training.autocast():
            for some in index.split(self.batch_size):
                images = run.training.data.val.images[some].permute(0, 3, 1, 2).float() / 255
                shifted = (shift(images) * 255).permute(0, 2, 3, 1)
                found.append(run.model(run.training.inputs(shifted)).double())
        for hook in hooks:
            hook.remove()
        return torch.cat(found), largest

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(finished(records))
        looks = style.looks(norms)
        names = [CLEAN, *SHIFTS]
        height = 1.2 + 1.6 * HEIGHT * len(norms)
        with style.figure(1, len(names), height, sharex=True) as (fig, axes):
            for i, (ax, name) in enumerate(zip(axes[0], names, strict=True)):
                norm_rows(ax, list(norms))
                ax.set_title(name)
                ax.tick_params(labelleft=i == 0)
                for row, (norm, group) in enumerate(norms.items()):
                    for mode, fill, lift in (("eval", "full", -0.14), ("batch", "none", 0.14)):
                        values = [r["measured"]["accuracy"][mode][i] for r in group]
                        look = OURS | {"color": looks[norm].color, "fillstyle": fill}
                        mark(ax, Sample.of(values), row + lift, look)
            axes[0, len(names) // 2].set_xlabel("validation accuracy")
            style.caption(
                fig,
                "Accuracy on the validation images as they are, and shifted. Filled: norms in "
                "evaluation mode; open: with the statistics of each batch of "
                f"{records[0]['config']['probe']['batch_size']}. {_how(records)}. "
                f"{mean_and_std(records).capitalize()}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(finished(records)).items():
            for i, shift in enumerate([CLEAN, *SHIFTS]):
                values = [
                    np.mean([array(r["measured"]["accuracy"][mode])[i] for r in group])
                    for mode in MODES
                ]
                values += [
                    np.mean([array(r["measured"][part])[i] for r in group])
                    for part in ("logit_change", "overshoot")
                ]
                rows.append([norm, shift, *values])
        headings = ["norm", "images", "accuracy: evaluation", "batch's statistics"]
        headings += ["change of logits", "largest activation"]
        return page(
            "Shifted inputs",
            records,
            number_table(headings, rows),
            f"{_how(records)}. Change of logits: root mean square, over the standard deviation of "
            "the clean images'. Largest activation: over that of the clean images. Means over "
            "seeds.",
        )


def blurred(x: Tensor, std: float) -> Tensor:
    """A Gaussian filter over images (B, C, H, W), edges repeated."""
    import torch
    import torch.nn.functional as F

    reach = int(np.ceil(3 * std))
    weights = torch.exp(-torch.arange(-reach, reach + 1, device=x.device).square() / (2 * std**2))
    weights = (weights / weights.sum()).to(x.dtype)
    channels = x.shape[1]
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    line = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    return F.conv2d(F.conv2d(padded, line, groups=channels), line.transpose(2, 3), groups=channels)


def _numbers(values: list[float]) -> Any:
    from normbench.probes.watching import numbers

    return [numbers(value) for value in values]


def _how(records: list[Record]) -> str:
    probe = records[0]["config"]["probe"]
    return (
        f"Contrast × {probe['contrast']:g} around each channel's mean, brightness − "
        f"{probe['brightness']:g} of the range, Gaussian blur of {probe['blur']:g} pixels, "
        f"Gaussian noise of {probe['noise']:g} of the range"
    )
