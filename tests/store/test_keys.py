"""Keys: what a run is, however the code that trains it is laid out."""

import inspect
import json
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

import normbench
from normbench.places import config_folder
from normbench.store.keys import OURS, checksum, run_key, stable
from normbench.store.probe_records import probe_store, stored_probes
from normbench.store.records import RecordStore

RESULTS = Path(__file__).parents[2] / "results"
CONFIGS = {
    path.relative_to(config_folder()).as_posix(): OmegaConf.to_container(OmegaConf.load(path))
    for path in sorted(config_folder().rglob("*.yaml"))
}
SETTINGS = {
    "model": {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 8]},
    "norm": {
        "name": "groupnorm",
        "layer": {"_target_": "normbench.norms.GroupNorm", "_partial_": True, "eps": 1e-5},
        "weight": {"_target_": "mine.layers.Weight", "_partial_": True},
    },
    "optimizer": {"name": "sgd", "_target_": "torch.optim.SGD"},
}


def changed(*path, to):
    """The settings with one of them changed, or removed."""
    settings = json.loads(json.dumps(SETTINGS))
    node = settings
    for name in path[:-1]:
        node = node[name]
    if to is None:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return settings


def key(settings=SETTINGS, batch_size=8, lr=0.01, seed=0):
    return run_key(settings, batch_size, lr, seed)


def targets(node):
    """Every ``_target_`` in settings."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from targets(value)


@pytest.mark.parametrize(
    "settings",
    [
        changed("model", "_target_", to="normbench.networks.small.CNN4"),
        changed("norm", "layer", "_target_", to="normbench.GroupNorm"),
        changed("norm", "layer", "_partial_", to=None),
        changed("norm", "layer", "_convert_", to="all"),
        changed("norm", "weight", "_recursive_", to=False),
        {part: SETTINGS[part] for part in reversed(SETTINGS)},
        stable(SETTINGS),
    ],
)
def test_where_our_parts_lie_and_how_they_are_called_is_no_part_of_a_run(settings):
    assert key(settings) == key()


@pytest.mark.parametrize(
    "settings",
    [
        changed("model", "_target_", to="normbench.models.cnn4.CNN5"),
        changed("model", "_target_", to="mine.models.cnn4.CNN4"),
        changed("model", "widths", to=[8, 9]),
        changed("norm", "weight", "_target_", to="mine.other.Weight"),
        changed("norm", "layer", "eps", to=1e-4),
        changed("norm", "name", to="mine"),
        changed("optimizer", "_target_", to="torch.optim.sgd.SGD"),
        changed("optimizer", to=None),
    ],
)
def test_whatever_else_there_is_to_a_run_is_part_of_its_key(settings):
    assert key(settings) != key()


def test_so_are_batch_size_learning_rate_and_seed():
    keys = {key(), key(batch_size=9), key(lr=0.02), key(seed=1)}
    assert len(keys) == 4 and all(len(name) == 16 for name in keys)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_stable_stays_as_it_is(name):
    settings = stable(CONFIGS[name])
    assert stable(settings) == settings
    assert len(list(targets(settings))) == len(list(targets(CONFIGS[name])))
    for target in targets(settings):
        assert target.count(".") == 1 or not target.startswith(OURS)


def our_parts():
    """Short name -> the objects it could mean: what a config names, and every public class."""
    found = [get_object(t) for c in CONFIGS.values() for t in targets(c) if t.startswith(OURS)]
    for package in ("norms", "probes", "models", "data", "engine"):
        folder = Path(normbench.__file__).parent / package
        for module in pkgutil.iter_modules([str(folder)], f"normbench.{package}."):
            if package == "engine" and module.name.split(".")[-1] not in (
                "optimizers",
                "schedules",
            ):
                continue  # no config names what trains
            for name, part in vars(import_module(module.name)).items():
                if inspect.isclass(part) and not name.startswith("_"):
                    found.append(part)
    parts = {}
    for part in found:
        if part.__module__.startswith(OURS):
            parts.setdefault(part.__name__, set()).add(part)
    return parts


def test_a_short_name_means_one_part():
    parts = our_parts()
    assert len(parts) > 30
    assert {name: of for name, of in parts.items() if len(of) > 1} == {}


def stores():
    """Of every folder with committed records."""
    for results in sorted({path.parent for path in RESULTS.rglob("records")}):
        yield RecordStore(results)
    for probe in stored_probes(RESULTS):
        yield probe_store(RESULTS, probe)


def test_every_committed_record_is_what_its_key_and_its_checksum_say():
    known, count = our_parts(), 0
    for store in stores():
        for path in store.folder.glob("*.json"):
            record = json.loads(path.read_text())
            settings = {part: of for part, of in record["config"].items() if part != "grid"}
            assert settings == stable(settings), path
            numbers = (record[name] for name in ("batch_size", "lr", "seed"))
            assert path.stem == record["key"] == run_key(settings, *numbers), path
            assert record["checksum"] == checksum(record), path
            ours = {t.removeprefix(OURS) for t in targets(settings) if t.startswith(OURS)}
            assert ours <= known.keys(), f"{path} names a part that is no longer there"
            count += 1
        assert not (store.folder / "set_aside").exists()
    assert count > 700


def test_every_committed_record_can_be_read(caplog):
    for store in stores():
        files = list(store.folder.glob("*.json"))
        assert files and len(store.read_all()) == len(files), store.folder
    assert caplog.messages == []
