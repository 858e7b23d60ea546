"""One step before anything trains: what cannot be trained with is named."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from normbench.errors import UserError
from normbench.places import config_names, read_config
from normbench.settings import outcome_settings
from normbench.trial import try_parts


class Layer(nn.Module):
    def __init__(self, num_channels):
        super().__init__()


class Halves(Layer):
    def forward(self, x):
        return x[:, :, ::2, ::2]


class Doubles(Layer):
    def forward(self, x):
        return x.double()


class Pairs(Layer):
    def forward(self, x):
        return x, x


class Nothing(Layer):
    def forward(self, x):
        pass


class Explodes(Layer):
    def forward(self, x):
        return x / 0


class Raises(Layer):
    def forward(self, x):
        raise ValueError("not with me")


def ignores_the_norm(num_classes, **kwargs):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(num_classes)
    )


def only_some(norm_layer, num_classes):
    body = nn.Sequential(nn.Conv2d(3, 4, 3), norm_layer(4), nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4))
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def returns_a_pair(norm_layer, num_classes):
    return nn.Sequential(only_some(norm_layer, num_classes), Pairs(1))


@pytest.fixture
def parts(monkeypatch):
    """A module that holds them under a name that a config can give."""
    module = ModuleType("made_up_parts")
    for part in (Halves, Doubles, Pairs, Nothing, Explodes, Raises, ignores_the_norm, only_some,
                 returns_a_pair):  # fmt: skip
        setattr(module, part.__name__, part)
    monkeypatch.setitem(sys.modules, "made_up_parts", module)


def settings(**changes):
    config = {
        "data": {"name": "synthetic", "image_size": 16, "mean": [0.0, 0.0, 0.0]},
        "train": {"epochs": 1},
        **{
            group: {**read_config(f"{group}/{name}")}
            for group, name in (("optimizer", "ranger"), ("schedule", "one_cycle"))
        },
        "norm": {"name": "mine", "layer": {"_target_": "torch.nn.BatchNorm2d"}},
        "model": {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 8]},
    }
    return outcome_settings(config | changes, "fp32")


def of_layer(name):
    return settings(norm={"name": "mine", "layer": {"_target_": f"made_up_parts.{name}"}})


def of_model(name):
    return settings(model={"name": "theirs", "_target_": f"made_up_parts.{name}", "partial": True})


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        ("Halves", "norm=mine: Halves changes the shape of what it is given from (4, 8, 8, 8)"),
        ("Doubles", "norm=mine: Doubles changes the dtype of what it is given from torch.float32"),
        ("Pairs", "norm=mine: Pairs returns a tuple, not a tensor"),
        ("Nothing", "norm=mine: Nothing returns a NoneType, not a tensor"),
        ("Explodes", "norm=mine: Explodes returns values that are not finite, of finite ones"),
        ("Raises", "norm=mine: ValueError: not with me (test_trial.py, line "),
    ],
)
def test_a_layer_that_is_no_norm_is_named_with_what_it_did(parts, layer, line):
    with pytest.raises(UserError) as error:
        try_parts(of_layer(layer), batch_size=32)
    assert line in str(error.value) and "\n" not in str(error.value)


def test_layers_of_the_norm_and_others_are_counted(parts):
    layers = try_parts(settings(), batch_size=2).layers
    assert (len(layers.found), len(layers.others)) == (2, 0)
    layers = try_parts(of_model("only_some"), batch_size=2).layers
    assert (len(layers.found), len(layers.others)) == (1, 1)


def test_a_model_that_ignores_the_norm_is_refused(parts):
    with pytest.raises(UserError, match="norms of its own and none of mine"):
        try_parts(of_model("ignores_the_norm"), batch_size=2)


def test_a_model_that_returns_no_logits_is_refused(parts):
    with pytest.raises(UserError, match="the network returns tuple for 2 images"):
        try_parts(of_model("returns_a_pair"), batch_size=2)


@pytest.mark.parametrize(
    ("part", "change", "line"),
    [
        ("optimizer", {"_target_": "torch.optim.LBFGS"}, "optimizer=ranger: TypeError: LBFGS.step"),
        ("schedule", {"end": float("nan")}, "schedule=one_cycle has a lr that is not a finite"),
        ("schedule", {"_target_": "torch.nn.Identity"}, "schedule=one_cycle returns a Identity"),
    ],
)
def test_an_optimizer_or_a_schedule_that_cannot_be_used_is_named(part, change, line):
    changed = settings()
    own = changed[part] | change
    if "_target_" in change:
        own = {"name": own["name"]} | change
    with pytest.raises(UserError) as error:
        try_parts(changed | {part: own}, batch_size=2)
    assert line in str(error.value)


@pytest.mark.parametrize("norm", config_names("norm"))
def test_no_norm_of_ours_is_refused(norm):
    config = dict(read_config(f"norm/{norm}"))
    tried = try_parts(settings(norm=config), batch_size=1)
    assert (tried.layers.others, tried.hidden) == ([], ())


def test_nothing_is_left_of_it():
    before = torch.get_rng_state()
    try_parts(settings(), batch_size=2)
    assert torch.equal(torch.get_rng_state(), before)


class Backward(torch.autograd.Function):
    """Identity; what it does to gradients, a subclass says."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()


class RaisingBackward(Backward):
    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("not backward")


class InfiniteBackward(Backward):
    @staticmethod
    def backward(ctx, gradient):
        return gradient / 0


class RaisesBackward(Layer):
    def forward(self, x):
        return RaisingBackward.apply(x)


class ExplodesBackward(Layer):
    def forward(self, x):
        return InfiniteBackward.apply(x)


class InfiniteRoot(Layer):
    def __init__(self, num_channels):
        super().__init__(num_channels)
        self.power = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x):
        return x + self.power.sqrt().view(1, -1, 1, 1)


class RaisesInEvaluation(Layer):
    def forward(self, x):
        if not self.training:
            raise RuntimeError("nothing was averaged")
        return x


class ExplodesInEvaluation(Layer):
    def forward(self, x):
        return x if self.training else x / 0


class Detaches(Layer):
    def forward(self, x):
        return x.detach()


class Ends(Layer):
    def forward(self, x):
        sys.exit(3)


class MakesParameters(Layer):
    def forward(self, x):
        self.weight = nn.Parameter(torch.ones(()))
        return x * self.weight


class Counts(Layer):
    def __init__(self, num_channels):
        super().__init__(num_channels)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


class CountsInItsClass(Layer):
    calls = 0

    def forward(self, x):
        CountsInItsClass.calls += 1
        return x


class Averages(Layer):
    """Without parameters and buffers, with tensors that are neither."""

    def __init__(self, num_channels):
        super().__init__(num_channels)
        self.mean, self.square = torch.zeros(num_channels), torch.zeros(num_channels)

    def forward(self, x):
        self.mean = self.mean.lerp(x.detach().mean((0, 2, 3)), 0.1)
        self.square.lerp_(x.detach().square().mean((0, 2, 3)), 0.1)
        return x


class Remembers(Layer):
    """Keeps what it found out when it was used first, and no more."""

    def forward(self, x):
        self.size = tuple(x.shape)
        self.ones = getattr(self, "ones", None) or torch.ones(())
        return x * self.ones


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (RaisesBackward, "with norm=mine: ValueError: not backward (test_trial.py, line "),
        (ExplodesBackward, "ExplodesBackward gives gradients that are not finite, of finite"),
        (InfiniteRoot, "InfiniteRoot gives its power gradients that are not finite"),
        (RaisesInEvaluation, "with norm=mine: RuntimeError: nothing was averaged (test_trial.py"),
        (ExplodesInEvaluation, "ExplodesInEvaluation returns values that are not finite"),
        (Detaches, "Detaches lets no gradient through to the layers below it"),
        (Ends, "with norm=mine: it ends the program (exit code 3)"),
        (MakesParameters, ".weight (of shape ()) is made as the network is used"),
        (CountsInItsClass, "CountsInItsClass.calls changes as the layer is used, and all of its"),
    ],
)
def test_so_is_one_that_breaks_backward_in_evaluation_or_for_others(
    monkeypatch, parts, layer, line
):
    monkeypatch.setattr(sys.modules["made_up_parts"], "Mine", layer, raising=False)
    with pytest.raises(UserError) as error:
        try_parts(of_layer("Mine"), batch_size=32)
    assert line in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("layer", "hidden"),
    [
        (Counts, ("Counts.calls",)),
        (Averages, ("Averages.mean", "Averages.square")),
        (Remembers, ()),
        (nn.BatchNorm2d, ()),
    ],
)
def test_what_a_layer_changes_that_no_checkpoint_would_keep_is_found(
    monkeypatch, parts, layer, hidden
):
    monkeypatch.setattr(sys.modules["made_up_parts"], "Mine", layer, raising=False)
    assert try_parts(of_layer("Mine"), batch_size=32).hidden == hidden
