"""What algebra says of norms, checked on a trained network in float64.

Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167; Santurkar et al. 2018,
https://arxiv.org/abs/1805.11604, theorem 4.1
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import geometric_mean, mean
from normbench.analysis.groups import by_norm
from normbench.analysis.welch import Sample
from normbench.drawing import style
from normbench.drawing.captions import how_many, page, protocol_line
from normbench.drawing.rows import OURS, mark, norm_rows
from normbench.drawing.text import number_table
from normbench.probes.curves import finished
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from normbench.probes.watching import Watched

TINY = 1e-12  # eps in float64, so that it is the algebra that is checked
SCALE = 10.0  # of a weight
LARGE_EPS = 0.1

SENTENCES = {
    "undone": "γ = σ and β = μ make BatchNorm the identity: logits as without a norm",
    "scale": f"weights × {SCALE:g} before BatchNorm leave the logits as they are",
    "gradient": f"and make that weight's gradient {SCALE:g} times smaller",
    "orthogonal_to_1": "BatchNorm's input gradient is orthogonal to 1",
    "orthogonal_to_x": "and to the normalized input x̂",
    "gain": "with eps 0.1 BatchNorm's gain is at most √10, and √10 for small inputs",
    "groups_of_one": "GroupNorm with C groups is InstanceNorm",
    "one_group": "GroupNorm with one group is LayerNorm over (C, H, W)",
}


@dataclass(kw_only=True)
class Identities(WatchingProbe):
    """Relative errors of identities, and the shapes of distributions, once training is over.

    The trained network is copied to float64, its BatchNorm's eps set to 1e-12; a batch is the one
    that would be trained on next, in training mode. ``SENTENCES`` says what the identities are.

    Attributes:
        steps: see WatchingProbe.

    Measures:
        errors: of each identity, by its name: the largest relative error; empty without BatchNorm.
        skew, kurtosis: of BatchNorm's outputs before γ and β, a number a layer: the mean of each
            channel's absolute skewness, and of its absolute excess kurtosis.
        growth_at_start, growth: standard deviation of a convolution's output over that of its
            input, the geometric mean over convolutions, before training and after it.
    """

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.probes.watching import numbers

        start = growth(*_in_float64(run))
        if not (yield run.steps):
            return {}
        model, inputs, labels = _in_float64(run)
        end = growth(model, inputs, labels)
        norms = _batchnorms(model)
        found: dict[str, Any] = {"errors": {}, "skew": [], "kurtosis": []}
        if norms:
            moments = [_moments(x) for x in _seen(norms, model, inputs)]
            found["skew"] = numbers_of(m[0] for m in moments)
            found["kurtosis"] = numbers_of(m[1] for m in moments)
            checks: dict[str, Callable[..., dict[str, float]]] = {
                "undone": undone,
                "scale": weights_scaled,
                "orthogonal": input_gradients,
                "gain": gain_bounded,
                "groups": group_norms,
            }
            for check in checks.values():
                found["errors"] |= check(copy.deepcopy(model), inputs, labels)
        found["errors"] = {name: numbers(value) for name, value in found["errors"].items()}
        return {**found, "growth_at_start": numbers(start), "growth": numbers(end)}

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(finished(records))
        looks = style.looks(norms)
        with style.figure(1, 2, 3.6, width_ratios=[3, 1.4]) as (fig, axes):
            errors, growths = axes[0]
            names = list(SENTENCES)
            norm_rows(errors, [SENTENCES[name] for name in names])
            errors.tick_params(axis="y", labelsize=7.5)
            for group in norms.values():
                for row, name in enumerate(names):
                    values = [r["measured"]["errors"].get(name) for r in group]
                    known = [max(value, 1e-18) for value in values if value is not None]
                    errors.plot(known, [row] * len(known), "o", color=style.INK, ms=4, alpha=0.5)
            errors.axvline(1e-4, color=style.FAINT, lw=0.8, ls="--")
            errors.set(xlabel="relative error in float64", xscale="log")
            norm_rows(growths, list(norms))
            for row, (norm, group) in enumerate(norms.items()):
                for part, fill in (("growth_at_start", "none"), ("growth", "full")):
                    values = [r["measured"][part] for r in group]
                    look = OURS | {"color": looks[norm].color, "fillstyle": fill}
                    mark(growths, Sample.of(values), row, look)
            growths.set_xlabel("growth")
            style.caption(
                fig,
                "Left: each point a network; dashed: 1e-4. Right: standard deviation of a "
                "convolution's output over its input's, geometric mean over convolutions, before "
                f"training (open) and after it (filled); {how_many(finished(records))}. "
                f"{protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        groups = by_norm(finished(records))
        rows = [
            [norm, name, max(r["measured"]["errors"][name] for r in group)]
            for norm, group in groups.items()
            for name in SENTENCES
            if group[0]["measured"]["errors"]
        ]
        parts = [number_table(["norm", "identity", "largest relative error"], rows)] if rows else []
        rest = []
        for norm, group in groups.items():
            of = [record["measured"] for record in group]
            shapes = [mean([m[part] or [np.nan] for m in of]) for part in ("skew", "kurtosis")]
            grown = [
                geometric_mean([m[part] for m in of]) for part in ("growth_at_start", "growth")
            ]
            rest.append([norm, *shapes, *grown])
        headings = ["norm", "abs(skewness)", "abs(excess kurtosis)", "growth: start", "end"]
        parts.append(number_table(headings, rest))
        parts.append("\n".join(f"- {name}: {said}" for name, said in SENTENCES.items()))
        return page("Identities", records, *parts)


def undone(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """γ = σ and β = μ, layer by layer from the first, against the network without its norms."""
    import torch
    from torch import nn

    bare = copy.deepcopy(model)
    for name, _ in list(_named_batchnorms(bare)):
        parent, _, last = name.rpartition(".")
        setattr(bare.get_submodule(parent), last, nn.Identity())
    for layer in _batchnorms(model):
        (x,) = _seen([layer], model, inputs)
        with torch.no_grad():
            layer.weight.copy_((x.var(_dims(x), correction=0) + layer.eps).sqrt())
            layer.bias.copy_(x.mean(_dims(x)))
    with torch.no_grad():
        return {"undone": _difference(model(inputs), bare(inputs))}


def weights_scaled(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """One convolution's weight and bias times ``SCALE``, each in turn."""
    import torch
    import torch.nn.functional as F

    convolutions = _before_norms(model)

    def state(conv: nn.Module) -> tuple[Tensor, Tensor]:
        model.zero_grad()
        logits = model(inputs)
        F.cross_entropy(logits, labels).backward()
        assert isinstance(conv.weight, torch.Tensor) and conv.weight.grad is not None
        return logits.detach(), conv.weight.grad.clone()

    scales, gradients = [], []
    for conv in convolutions:
        logits, gradient = state(conv)
        with torch.no_grad():
            for p in conv.parameters():
                p.mul_(SCALE)
        scaled_logits, scaled_gradient = state(conv)
        with torch.no_grad():
            for p in conv.parameters():
                p.div_(SCALE)
        scales.append(_difference(scaled_logits, logits))
        gradients.append(_difference(SCALE * scaled_gradient, gradient))
    return {"scale": max(scales), "gradient": max(gradients)}


def input_gradients(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Each channel's input gradient, its cosine with 1 and with x̂."""
    import torch
    import torch.nn.functional as F

    layers = _batchnorms(model)
    seen: dict[int, Tensor] = {}

    def look(place: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
            # a copy, as a ReLU in place may have made it, whose gradient is kept
            seen[place] = args[0] * 1
            seen[place].retain_grad()
            return seen[place]

        return hook

    hooks = [layer.register_forward_pre_hook(look(i)) for i, layer in enumerate(layers)]
    F.cross_entropy(model(inputs), labels).backward()
    for hook in hooks:
        hook.remove()
    to_one, to_x = [0.0], [0.0]
    for x in seen.values():
        assert x.grad is not None
        flat, gradient = (t.detach().transpose(0, 1).flatten(1) for t in (x, x.grad))
        alive = flat.std(1) > 1e-6 * flat.std()  # a dead channel has no direction
        alive &= gradient.norm(dim=1) > 1e-9 * gradient.norm()
        centered = flat - flat.mean(1, keepdim=True)
        for found, direction in ((to_one, torch.ones_like(flat)), (to_x, centered)):
            cosine = F.cosine_similarity(gradient[alive], direction[alive], dim=1, eps=0.0)
            found.append(cosine.abs().max().item())
    return {"orthogonal_to_1": max(to_one), "orthogonal_to_x": max(to_x)}


def gain_bounded(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """1 / √(σ² + eps) of every channel with eps = 0.1, at several scales of its input."""
    import torch

    bound = LARGE_EPS**-0.5
    over, small = [], []
    for x in _seen(_batchnorms(model), model, inputs):
        for power in (0, -1, -2, -3, -6):
            scaled = x * 10.0**power
            channels = scaled.shape[1]
            layer = torch.nn.BatchNorm2d(channels, eps=LARGE_EPS, dtype=x.dtype)
            layer.weight.requires_grad_(False)
            spread = scaled.std(_dims(x), correction=0)
            alive = spread > 0
            gain = layer.to(x.device)(scaled).std(_dims(x), correction=0)[alive] / spread[alive]
            over.append((gain.max() / bound - 1).item())
        small.append((gain / bound - 1).abs().max().item())  # of the smallest inputs
    return {"gain": max(*over, *small, 0.0)}


def group_norms(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """The project's GroupNorm on the inputs of BatchNorm, against PyTorch's functions."""
    import torch.nn.functional as F

    from normbench.norms import GroupNorm

    instance, layer = [], []
    for x in _seen(_batchnorms(model), model, inputs):
        channels = x.shape[1]
        of_one = GroupNorm(channels, num_groups=channels, eps=1e-5).to(x)
        instance.append(_difference(of_one(x), F.instance_norm(x, eps=1e-5)))
        all_in_one = GroupNorm(channels, num_groups=1, eps=1e-5).to(x)
        layer.append(_difference(all_in_one(x), F.layer_norm(x, x.shape[1:], eps=1e-5)))
    return {"groups_of_one": max(instance), "one_group": max(layer)}


def growth(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Standard deviation of a convolution's output over its input's, geometric mean over them."""
    import torch

    ratios = []

    def look(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        ratios.append((output.std() / args[0].std()).item())

    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    hooks = [conv.register_forward_hook(look) for conv in convolutions]
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    return float(geometric_mean(ratios))


def numbers_of(values: Any) -> list[Any]:
    from normbench.probes.watching import numbers

    return [numbers(value) for value in values]


def _in_float64(run: Watched) -> tuple[nn.Module, Tensor, Tensor]:
    """A copy of the network in training mode, and the next batch."""
    split, index = run.training.train, run.batch
    model = copy.deepcopy(run.model).double().train()
    for layer in _batchnorms(model):
        layer.eps = TINY
    return model, run.training.inputs(split.images[index]).double(), split.labels[index]


def _named_batchnorms(model: nn.Module) -> list[tuple[str, Any]]:
    """Those that take a batch's statistics of each channel, and have γ and β."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return [(n, m) for n, m in model.named_modules() if isinstance(m, _BatchNorm) and m.affine]


def _batchnorms(model: nn.Module) -> list[Any]:
    return [layer for _, layer in _named_batchnorms(model)]


def _before_norms(model: nn.Module) -> list[Any]:
    """Convolutions with a BatchNorm behind them, with nothing or a ReLU in between."""
    from torch import nn

    found, last = [], None
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            last = module
        elif last is not None and module in _batchnorms(model):
            found.append(last)
            last = None
    return found


def _seen(layers: list[Any], model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """What some layers of a network are given."""
    import torch

    seen: dict[int, Tensor] = {}

    def look(place: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen[place] = args[0].detach().clone()

        return hook

    hooks = [layer.register_forward_pre_hook(look(i)) for i, layer in enumerate(layers)]
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    return [seen[i] for i in range(len(layers))]


def _moments(x: Tensor) -> tuple[float, float]:
    """Mean absolute skewness and excess kurtosis of the channels that are not constant."""
    flat = x.transpose(0, 1).flatten(1)
    flat = flat[flat.std(1) > 0]
    z = (flat - flat.mean(1, keepdim=True)) / flat.std(1, correction=0, keepdim=True)
    return z.pow(3).mean(1).abs().mean().item(), (z.pow(4).mean(1) - 3).abs().mean().item()


def _dims(x: Tensor) -> list[int]:
    return [d for d in range(x.dim()) if d != 1]


def _difference(one: Tensor, other: Tensor) -> float:
    """Largest difference over the largest value."""
    return ((one - other).abs().max() / other.abs().max()).item()
