"""normbench probe and normbench figures, as a user types them."""

import json

import pytest
from command_line import ONE_RUN, TINY

from normbench.places import config_names
from normbench.store.keys import checksum

GRID = ["grid.batch_size=[20]", "grid.seeds=[0]"]


@pytest.fixture
def nb(normbench_command):
    return normbench_command


def stored(nb, probe="gradients"):
    return sorted((nb.folder / "results" / "probes" / probe).glob("*.json"))


def figures(nb):
    folder = nb.folder / "results" / "figures"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("own_process", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_measured_once_drawn_again_from_what_is_stored(nb, own_process):
    typed = ["probe", *TINY, *GRID, "norm=none,batchnorm", "grid.seeds=[0,1]"]
    code, out, err = (nb.process if own_process else nb)(*typed)
    assert code == 0, err
    assert "4 runs measured, 0 already there" in out and "# Gradient norms" in out
    records = [json.loads(path.read_text()) for path in stored(nb)]
    assert len(records) == 4
    assert {r["config"]["norm"]["name"] for r in records} == {"none", "batchnorm"}
    for record in records:
        assert record["config"]["probe"]["name"] == "gradients"
        assert [len(line) for line in record["measured"]["norms"]] == [6, 6]
    assert not (nb.folder / "results" / "records").exists()  # nothing for the tables

    drawn = figures(nb)
    stem = "gradients_synthetic_cnn4_bs20_lr0.01"
    assert set(drawn) == {f"{stem}.png", f"{stem}.svg", f"{stem}.md"}
    for path in (nb.folder / "results" / "figures").iterdir():
        path.unlink()
    code, out, _ = nb("figures")
    assert code == 0 and stem in out
    assert figures(nb) == drawn

    before = {path: path.read_bytes() for path in stored(nb)}
    code, out, _ = nb(*typed)
    assert code == 0 and "0 runs measured, 4 already there" in out
    assert {path: path.read_bytes() for path in stored(nb)} == before


@pytest.mark.slow
@pytest.mark.parametrize("probe", config_names("probe"))
def test_every_probe_with_its_default_settings(nb, probe):
    images = ["data.source.train_size=160", "data.source.val_size=260"]
    typed = ["probe", "-m", f"probe={probe}", *TINY, *images, "grid.batch_size=[2]"]  # 80 steps
    norms = "batchnorm" if probe == "transfer" else "none,batchnorm"  # without one, no choice
    code, out, err = nb(*typed, "grid.seeds=[0]", f"norm={norms}")
    assert code == 0, err
    assert out.lstrip().startswith("# ")
    for record in (json.loads(path.read_text()) for path in stored(nb, probe)):
        assert record["config"]["probe"]["name"] == probe
        text = json.dumps(record["measured"])
        assert "NaN" not in text and "Infinity" not in text
    drawn = figures(nb)
    assert sorted(name.rsplit(".", 1)[1] for name in drawn) == ["md", "png", "svg"]
    code, _, err = nb("figures")
    assert code == 0, err
    assert figures(nb) == drawn


def test_one_that_cannot_be_read_is_set_aside_and_force_keeps_the_older(nb):
    typed = ["probe", *TINY, *GRID, "norm=none"]
    assert nb(*typed)[0] == 0
    (path,) = stored(nb)
    whole = path.read_text()
    path.write_text(whole[:100])
    code, out, err = nb(*typed)
    assert code == 0 and "1 run measured" in out and f"record {path.name} cannot be read" in err
    code, out, _ = nb(*typed, "force=true")
    assert code == 0 and "1 run measured" in out
    names = [p.name for p in (path.parent / "set_aside").iterdir()]
    assert sorted(n.rsplit(".", 1)[1] for n in names) == ["replaced", "unreadable"]
    assert json.loads(path.read_text())["measured"] == json.loads(whole)["measured"]


def test_other_settings_of_a_probe_are_another_measurement_and_another_figure(nb):
    assert nb("probe", *TINY, *GRID, "norm=none")[0] == 0
    code, _, err = nb("probe", *TINY, *GRID, "norm=none", "probe.steps=3")
    assert code == 0, err
    assert len(stored(nb)) == 2
    assert len(figures(nb)) == 9  # two, told apart, beside the one that was drawn first


WRONG = {
    "probe=gradient": ["probe=gradient is not known", "did you mean 'gradients'"],
    "probe.layers=[features.1]": ["features.1", "did you mean", "features.0"],
    "probe.steps=7": ["probe.steps=7", "6 steps"],
    "probe.step=7": ["'probe.step'", "did you mean 'steps'"],
    "+probe.colour=red": ["probe=gradients", "colour"],
    "probe.name=a/b": ["probe.name=a/b"],
    "model._target_=tests_model.Flat model.name=flat": ["Flat", "no convolution"],
}


@pytest.mark.parametrize("typed", WRONG)
def test_what_does_not_fit_is_named(nb, typed):
    (nb.folder / "tests_model.py").write_text(
        "from torch import nn\n"
        "class Flat(nn.Sequential):\n"
        "    def __init__(self, norm_layer, num_classes):\n"
        "        pool = nn.AdaptiveAvgPool2d(1)\n"
        "        super().__init__(norm_layer(3), pool, nn.Flatten(), nn.Linear(3, num_classes))\n"
    )
    small = TINY if "model." not in typed else [s for s in TINY if not s.startswith("model.")]
    code, out, err = nb("probe", *small, *GRID, "norm=batchnorm", *typed.split())
    assert code == 2 and out == "", err
    (line,) = err.splitlines()
    for word in WRONG[typed]:
        assert word in line
    assert not (nb.folder / "results").exists()


OWN = """
from normbench.probes.curves import Curves
open("imported", "w")
class Own(Curves):
    pass
"""


def test_what_a_record_says_is_never_imported(nb):
    """Records may come from anybody: which class draws them is for configs to say."""
    assert nb("probe", *TINY, *GRID, "norm=none")[0] == 0
    (path,) = stored(nb)
    drawn = figures(nb)
    (nb.folder / "own.py").write_text(OWN)
    record = json.loads(path.read_text())
    record["config"]["probe"]["_target_"] = "own.Own"
    path.write_text(json.dumps(record | {"checksum": checksum(record)}))
    code, _, err = nb("figures")
    assert code == 0, err
    assert figures(nb) == drawn
    assert not (nb.folder / "imported").exists()


def test_a_probe_of_ones_own_is_drawn_by_what_its_config_names(nb):
    (nb.folder / "own.py").write_text(OWN)
    typed = ["probe._target_=own.Own", "probe.name=own", "+probe.evaluations=2"]
    code, _, err = nb("probe", *TINY, *ONE_RUN, "norm=none", *typed)
    assert code == 0, err
    drawn = figures(nb)
    code, _, err = nb("figures")
    assert code == 2
    assert "probes/own is not drawn" in err and "probe/own.yaml" in err and "--config-dir" in err
    config = nb.folder / "configs" / "probe" / "own.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("# @package _global_\nprobe: {name: own, _target_: own.Own, steps: null}\n")
    code, _, err = nb("figures", f"--config-dir={config.parent.parent}")
    assert code == 0, err
    assert figures(nb) == drawn


def test_figures_of_nothing(nb):
    code, _, err = nb("figures", "results.dir=nowhere")
    assert code == 2 and "nowhere" in err and "normbench probe" in err
