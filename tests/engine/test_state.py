"""All that a run's steps change is brought back, from memory and from a file.

What they change is found by walking over a training's attributes, whatever these are called: one
that ``normbench.engine.state`` does not know of fails here by itself.
"""

import hashlib
import io
import re
from collections import deque
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType

import numpy as np
import pytest
import torch
from small_runs import MODEL, dataset, plan, ranger, sgd
from stand_in_cuda import Noisy, StandInStream
from torch import nn

from normbench.engine.captured import CapturedTraining
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.excursion import excursion
from normbench.engine.schedules import constant, one_cycle
from normbench.engine.state import Snapshot, restore_state, state_of
from normbench.engine.training import Training, finish, train
from normbench.models import build_model
from normbench.models.cnn4 import CNN4
from normbench.places import config_names

CPU = torch.device("cpu")
DATA = dataset()
PLAIN = None | bool | int | float | complex | str | bytes
# Memory that every step writes its gradients to; those of single parameters are dropped instead.
SHARED_GRADIENT = "training.parameters.gradients", "training.parameters.tensors.0.grad"
FUNCTIONS = type, partial, FunctionType, MethodType, BuiltinFunctionType


class Look:
    """What can be reached from a training by attributes, and torch's random state.

    Attributes:
        contents: by path, what can be compared; of what was met before, its first path.
        places: by path, where a tensor lies in memory.
    """

    def __init__(self, training):
        self.contents, self.places, self.met = {}, {}, {}
        self.at("training", training)
        self.contents["random"] = bits(torch.get_rng_state())

    def at(self, path, value):
        if not isinstance(value, PLAIN | tuple):
            if id(value) in self.met:
                self.contents[path] = "is " + self.met[id(value)][0]
                return
            self.met[id(value)] = path, value  # kept, so that no other gets its id
        self.contents[path], parts = self.taken_apart(path, value)
        for name, part in parts.items():
            self.at(f"{path}.{name}", part)

    def taken_apart(self, path, value):
        kind, parts = type(value).__name__, {}
        if isinstance(value, torch.Tensor):
            self.places[path] = value.data_ptr()
            parts = {"requires_grad": value.requires_grad}
            parts["grad"] = value.grad if value.is_leaf else None
            return (kind, value.dtype, value.shape, bits(value)), parts
        if isinstance(value, torch.Generator):
            return bits(value.get_state()), {}
        if isinstance(value, np.ndarray):
            return (value.dtype, value.shape, value.tobytes()), {}
        if isinstance(value, torch.amp.GradScaler):  # which makes its tensors late
            parts = value.state_dict()
        elif isinstance(value, dict):
            parts = {self.name(key): part for key, part in value.items()}
        elif isinstance(value, list | tuple | deque):
            parts = dict(enumerate(value))
        elif isinstance(value, set):
            return sorted(value), {}
        elif isinstance(value, StandInStream):
            pass
        elif isinstance(value, PLAIN):
            return (kind, repr(value)), {}
        elif hasattr(value, "__dict__") and not isinstance(value, FUNCTIONS):
            parts = vars(value)
        return kind, parts

    def name(self, key):
        return f"({self.met[id(key)][0]})" if isinstance(key, torch.Tensor) else key


def bits(tensor):
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def changed(before, after):
    """Paths at which two looks differ."""
    paths = before.contents.keys() | after.contents.keys()
    differing = {p for p in paths if before.contents.get(p, "-") != after.contents.get(p, "-")}
    return {path for path in differing if not path.startswith(SHARED_GRADIENT)}


def assert_same(before, after):
    assert sorted(changed(before, after)) == []
    assert before.places == after.places


def of_gradients(look):
    """Paths that no file tells about: of gradients, or to a part of a graph that would have one."""
    return {p for p in look.contents if ".grad" in p or p.endswith("last.requires_grad")}


class Keeping(nn.Module):
    """Keeps between steps all that a layer may keep in its attributes."""

    def __init__(self, num_channels, log):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_channels)
        self.register_buffer("unnamed", torch.zeros(num_channels), persistent=False)
        self.count, self.share, self.phase, self.odd = 0, 0.5, "new", False
        self.log, self.history = log, []  # the log is another layer's, too
        self.nested = {"sum": 0.0, "pair": (0, torch.zeros(2))}
        self.mean, self.last, self.means = torch.zeros(num_channels), None, [torch.zeros(2)]
        self.generator = torch.Generator().manual_seed(5)
        self.function, self.kind = torch.relu, torch.float32  # no state

    def forward(self, x):
        if self.training:
            self.count, self.share = self.count + 1, self.share * 0.9
            self.phase, self.odd = f"after {self.count}", self.count % 4 > 1
            self.log.append(self.count)
            self.history.append(self.share)
            number, pair = self.nested["pair"]
            pair += 1
            self.nested = {"sum": self.nested["sum"] + self.share, "pair": (number + 1, pair)}
            self.unnamed += 1
            self.last = x.mean((0, 2, 3))  # a part of a graph
            self.mean.lerp_(self.last.detach(), 0.1)
            self.means[0] = self.mean[:2] * 2
            x = x + torch.rand((), generator=self.generator) * self.share
            if self.count == 1:
                self.made_late = 3
        return self.norm(x)


class Late(nn.Module):
    """Makes its buffer when it sees the first batch."""

    def __init__(self, num_channels):
        super().__init__()
        self.register_buffer("mean", None)

    def forward(self, x):
        if self.training:
            mean = x.detach().mean((0, 2, 3), keepdim=True)
            self.mean = mean if self.mean is None else 0.9 * self.mean + 0.1 * mean
        return x - self.mean


class ExtraState(nn.Module):
    """Keeps an object of another kind, and says so as torch wants it said."""

    def __init__(self, num_channels):
        super().__init__()
        self.sizes = deque(maxlen=4)

    def forward(self, x):
        if self.training:
            self.sizes.append(x.detach().norm().item())
        return x / (1 + sum(self.sizes))

    def get_extra_state(self):
        return list(self.sizes)

    def set_extra_state(self, state):
        self.sizes = deque(state, maxlen=4)


def keeping():
    log = []
    return CNN4(partial(Keeping, log=log), 3, widths=(8, 8))


def noisy():
    return CNN4(Noisy, 3, widths=(8, 8))


def frozen():
    model = CNN4(nn.BatchNorm2d, 3, widths=(8, 8))
    next(model.parameters()).requires_grad_(False)
    return model


class Wavering(torch.optim.SGD):
    """Counts in an attribute of its own, and changes a setting of its group."""

    def __init__(self, params, **settings):
        super().__init__(params, **settings)
        self.taken = 0

    def step(self, closure=None):
        self.taken += 1
        self.param_groups[0]["weight_decay"] = 0.01 * self.taken
        return super().step(closure)


def norm(name):
    return plan(model=partial(build_model, MODEL, name, 3))


CASES = {
    "one cycle": plan(optimizer=sgd, schedule=partial(one_cycle, momentum=[0.95, 0.85, 0.95])),
    "adamw": plan(optimizer=torch.optim.AdamW),
    "bf16": plan(precision="bf16"),
    "fp16": plan(precision="fp16"),
    "crops": plan(augment="crop"),
    "dropout": plan(model=lambda: CNN4(lambda _: nn.Dropout(0.3), 3, widths=(8, 8))),
    "frozen": plan(model=frozen),
}
ON_THE_HOST = {
    "attributes": plan(model=keeping),
    "extra state": plan(model=lambda: CNN4(ExtraState, 3, widths=(8, 8))),
    **{f"norm={name}": norm(name) for name in config_names("norm")},
    "a late buffer": plan(model=lambda: CNN4(Late, 3, widths=(8, 8))),
    "an optimizer that counts": plan(optimizer=Wavering),
}
# What a run's steps are seen to change, else a look would see too little.
ALWAYS = {"model", "optimizer", "metrics", "order", "steps_done"}
AS_WELL = {
    "fp16": {"scaler"},
    "crops": {"augmentation.generator", "augmentation.theta"},
    "attributes": {
        f"model._modules.features._modules.2.{name}"
        for name in (
            "count", "share", "phase", "odd", "log", "history", "nested.sum", "nested.pair",
            "mean", "last", "means.0", "generator", "made_late", "_buffers.unnamed",
        )
    },
    "extra state": {"model._modules.features._modules.2.sizes"},
    "a late buffer": {"model._modules.features._modules.2._buffers.mean"},
    "an optimizer that counts": {"optimizer.taken", "optimizer.param_groups.0.weight_decay"},
}  # fmt: skip
OF_GRAPHS = {"counter", "val_counter", "indices", "rates"}
# What a second epoch leaves as the first did.
ONCE = {"counter", "val_counter", "model._modules.features._modules.2.made_late"}
MADE_BY_CAPTURE = {"replay_steps", "replay_evaluation"}


def captured(plan):
    made = CapturedTraining(plan, DATA, CPU, StandInStream())
    made.capture()
    return made


def plain(plan):
    return Training(plan, DATA, CPU)


HOW = [*((plain, name) for name in CASES | ON_THE_HOST), *((captured, name) for name in CASES)]
each_way = pytest.mark.parametrize(
    "make, name", HOW, ids=[f"{make.__name__}, {name}" for make, name in HOW]
)


def plan_of(name):
    return (CASES | ON_THE_HOST)[name]


def go_on(training):
    finish(training.epoch())
    finish(training.evaluate(DATA.val))


def check_seen(before, after, parts):
    paths = [f"{path}." for path in changed(before, after)]
    for part in parts:
        assert any(path.startswith(f"training.{part}.") for path in paths), part


@each_way
def test_all_that_steps_change_is_brought_back_in_place(make, name):
    training = make(plan_of(name))
    parts = ALWAYS | AS_WELL.get(name, set()) | (OF_GRAPHS if make is captured else set())
    start, at_start = Look(training), Snapshot(training)
    go_on(training)
    check_seen(start, Look(training), parts)
    at_start.restore()
    assert_same(start, Look(training))

    go_on(training)
    middle, in_the_middle = Look(training), Snapshot(training)
    go_on(training)
    check_seen(middle, Look(training), parts - ONCE)
    in_the_middle.restore()
    assert_same(middle, Look(training))
    at_start.restore()
    assert_same(start, Look(training))


@each_way
def test_a_fresh_run_is_brought_to_what_a_file_holds(make, name, tmp_path):
    training = make(plan_of(name))
    go_on(training)
    torch.save(state_of(training), tmp_path / "state.pt")
    kept = Look(training)
    torch.manual_seed(99)
    fresh = make(plan_of(name))
    places = Look(fresh).places
    restore_state(fresh, torch.load(tmp_path / "state.pt", weights_only=True))
    restored = Look(fresh)
    assert sorted(changed(kept, restored) - of_gradients(kept)) == []
    moved = {p for p in places.keys() & restored.places.keys() if places[p] != restored.places[p]}
    assert not moved
    random = torch.get_rng_state()
    go_on(training)
    went_on = Look(training)
    torch.set_rng_state(random)
    go_on(fresh)
    assert not changed(went_on, Look(fresh))


def test_a_file_holds_numbers_without_the_graphs_that_made_them():
    training = plain(plan_of("attributes"))
    go_on(training)
    kept = state_of(training)["layers"]["features.2"]["attributes"]
    assert training.model.features[2].last.requires_grad and not kept["last"].requires_grad


def trains_on_dense_gradients(kind):
    """Whether an optimizer takes a step as a run's steps do."""
    weight = nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    try:
        kind([weight], lr=0.01).step()
    except (TypeError, RuntimeError):
        return False
    return True


OPTIMIZERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    if kind is not torch.optim.Optimizer and trains_on_dense_gradients(kind)
}


def matrices():
    """A network whose parameters are matrices, as Muon wants them."""
    return nn.Sequential(
        nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, 8, bias=False), nn.Linear(8, 3, bias=False)
    )


def test_optimizers_are_found():
    assert {"SGD", "Adam", "Rprop", "Adafactor", "ASGD"} <= OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_torch_is_brought_back(name, tmp_path):
    chosen = plan(model=matrices, optimizer=OPTIMIZERS[name], schedule=constant, lr=0.01)
    training = plain(chosen)
    start, snapshot = Look(training), Snapshot(training)
    go_on(training)
    assert changed(start, Look(training))
    torch.save(state_of(training), tmp_path / "state.pt")
    kept = Look(training)
    snapshot.restore()
    assert_same(start, Look(training))
    restore_state(training, torch.load(tmp_path / "state.pt", weights_only=True))
    assert sorted(changed(kept, Look(training)) - of_gradients(kept)) == []


@pytest.mark.parametrize("make, model", [(plain, keeping), (captured, noisy)])
def test_whatever_else_is_done_to_a_run_is_undone(make, model):
    training = make(plan(model=model, augment="flip"))
    go_on(training)
    before = Look(training)
    with pytest.raises(ArithmeticError), excursion(training):
        assert all(p.grad is None for p in training.model.parameters())
        go_on(training)
        for p in (*training.model.parameters(), *training.parameters.tensors):
            p.data = torch.randn(p.shape)
            p.grad = torch.ones_like(p)
        training.metrics.loss = training.augmentation.theta = torch.ones(2)
        for module in training.model.modules():
            for name in module._buffers:
                module._buffers[name] = torch.ones(2)
            module.register_buffer("new", torch.ones(3))
            module.added = 7
            if isinstance(module, Keeping):
                del module.count, module.mean
                module.history = "replaced"
        training.model.requires_grad_(False).eval()
        for group in training.optimizer.param_groups:
            group["lr"], group["added"] = 7.0, [1]
        training.optimizer.state.clear()
        torch.manual_seed(99)
        raise ArithmeticError
    assert_same(before, Look(training))


@pytest.mark.parametrize("optimizer, late", [(torch.optim.AdamW, True), (ranger, False)])
def test_the_warm_up_of_graphs_leaves_no_trace_but_zeros(optimizer, late):
    training = CapturedTraining(plan(model=noisy, optimizer=optimizer), DATA, CPU, StandInStream())
    before = Look(training)
    training.capture()
    after = Look(training)
    # but for the mode, and what tells for which runs the graphs are
    known = re.compile(r".*\.training|training\.form\b.*")
    seen = {path for path in changed(before, after) if not known.fullmatch(path)}
    made = {path for path in seen if path.startswith("training.optimizer.state")}
    assert bool(made) == late
    assert seen - made == {f"training.{name}" for name in MADE_BY_CAPTURE}
    (state,) = training.optimizer.state.values()
    assert not late or not any(value.any() for value in state.values())


class Counter:
    count = 0


class Forgotten(Training):
    """Has state of a kind that is not known."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.extra = Counter()

    def step(self, index):
        super().step(index)
        self.extra.count += 1


def test_state_that_is_not_known_would_be_noticed():
    training = Forgotten(plan(), DATA, CPU)
    before, snapshot = Look(training), Snapshot(training)
    go_on(training)
    snapshot.restore()
    assert changed(before, Look(training)) == {"training.extra.count"}


def test_numbers_that_share_their_memory_are_no_hindrance():
    class Repeating(nn.Identity):
        def __init__(self, num_channels):
            super().__init__()
            self.register_buffer("ones", torch.ones(1).expand(num_channels))

    training = plain(plan(model=lambda: CNN4(Repeating, 3, widths=(8, 8))))
    before, snapshot = Look(training), Snapshot(training)
    go_on(training)
    snapshot.restore()
    assert not changed(before, Look(training))


@pytest.fixture
def device_random(monkeypatch):
    """A device's random numbers, on the CPU."""
    generator = torch.Generator().manual_seed(1)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: generator.get_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda s, device: generator.set_state(s))
    return generator


def test_the_devices_random_numbers_belong_to_a_run_there(device_random):
    training = plain(plan())
    with excursion(training):
        here = torch.rand(1, generator=device_random)
    assert not torch.equal(torch.rand(1, generator=device_random), here)

    training.device = torch.device("cuda")
    with excursion(training):
        there = torch.rand(1, generator=device_random)
    assert torch.equal(torch.rand(1, generator=device_random), there)
    kept = state_of(training)
    next_one = torch.rand(1, generator=device_random)
    restore_state(training, kept)
    assert torch.equal(torch.rand(1, generator=device_random), next_one)


def starts_over(kept, make, caplog):
    """The line that is said when a run finds a file that it cannot go on from."""
    training, result = make(plan()), train(plan(), DATA, CPU)
    before = Look(training)
    caplog.clear()
    kept.restore(training, result)
    assert not changed(before, Look(training))
    (line,) = caplog.messages
    return line


def test_a_file_of_another_form_starts_its_run_over(tmp_path, caplog):
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)
    train(plan(), DATA, CPU, checkpoint=kept)
    assert "is of another form" in starts_over(kept, captured, caplog)

    content = torch.load(io.BytesIO(kept.path.read_bytes()[32:]), weights_only=True)
    del content["form"]  # as in the first files
    stream = io.BytesIO()
    torch.save(content, stream)
    kept.path.write_bytes(hashlib.sha256(stream.getvalue()).digest() + stream.getvalue())
    assert "is of another form: its run starts over" in starts_over(kept, plain, caplog)
