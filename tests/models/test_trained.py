"""Weights that a run has kept give back its network."""

import json

import pytest
import safetensors.torch
import torch
from command_line import ONE_RUN, TINY

from normbench import UserError, load_model
from normbench.data.load import load_dataset


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(normbench, results folder, record): of a run that kept its weights."""
    from command_line import CommandLine

    folder = tmp_path_factory.mktemp("weights") / "work"
    folder.mkdir()
    (folder.parent / "home").mkdir()
    nb = CommandLine(folder)
    code, _, err = nb("run", "norm=ws_bcn", *TINY, *ONE_RUN, "train.save_weights=true")
    assert code == 0, err
    (path,) = nb.records
    return nb, folder / "results", json.loads(path.read_text())


def test_the_network_is_as_accurate_as_its_record_says(trained):
    _, results, record = trained
    network = load_model(record["key"], results)
    assert not network.training
    of = record["config"]["data"]
    target = {"_target_": "normbench.data.synthetic.synthetic"}
    source = of | {"root": None, "cache": None, "download": False, "source": of["source"] | target}
    data = load_dataset(source)
    mean, std = (torch.tensor(network.about["data"][name]) for name in ("mean", "std"))
    images = ((data.val.images / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        right = (network(images).argmax(1) == data.val.labels).float().mean().item()
    assert right == pytest.approx(record["epochs"][-1]["val_accuracy"], abs=1e-6)
    assert network.about["classes"] == list(data.classes)


def test_to_keep_weights_changes_nothing_that_is_measured(trained):
    nb, _, record = trained
    code, _, err = nb("run", "norm=ws_bcn", *TINY, *ONE_RUN, "results.dir=other")
    assert code == 0, err
    (path,) = nb.records_in("other")
    without = json.loads(path.read_text())
    assert (without["key"], without["epochs"]) == (record["key"], record["epochs"])
    assert not (nb.folder / "other" / "weights").exists()
    code, _, err = nb(
        "run", "norm=ws_bcn", *TINY, *ONE_RUN, "results.dir=other", "train.save_weights=true"
    )
    assert code == 0 and "force=true trains it again" in err


def test_what_cannot_be_loaded_is_told_in_a_line(trained, tmp_path):
    _, results, record = trained
    with pytest.raises(UserError, match=r"train.save_weights=true"):
        load_model("0" * 16, results)
    path = tmp_path / "weights" / "damaged.safetensors"
    path.parent.mkdir()
    path.write_bytes((results / "weights" / f"{record['key']}.safetensors").read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        load_model("damaged", tmp_path)
    with pytest.raises(UserError, match="another network"):
        load_model(record["key"], results, norm="layernorm")


def test_nothing_foreign_that_a_file_names_is_called(tmp_path):
    layer = {"name": "mine", "layer": {"_target_": "os.system", "command": "touch called"}}
    model = {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4"}
    about = {"model": model, "norm": layer, "classes": ["a"]}
    (tmp_path / "weights").mkdir()
    content = safetensors.torch.save({"x": torch.zeros(1)}, {"normbench": json.dumps(about)})
    (tmp_path / "weights" / "evil.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"a norm of your own, os\.system: give it with norm="):
        load_model("evil", tmp_path)
