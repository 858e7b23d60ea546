"""Models of libraries, by name: listed, completed, trained, and told apart from what is not."""

import importlib.util
import json

import pytest
import timm
from command_line import ONE_RUN, TINY
from torchvision import models

from normbench import zoo
from normbench.choices import LibraryModels
from normbench.errors import UserError

QUICK = [word for word in TINY if not word.startswith("model.")]


def test_the_names_are_those_that_the_libraries_tell():
    assert set(zoo.model_names("torchvision")) == set(models.list_models(module=models))
    assert set(zoo.model_names("timm")) == set(timm.list_models())


def test_models_are_listed_by_a_part_of_their_names_or_a_pattern(normbench_command):
    code, out, _ = normbench_command("models", "resnet18")
    assert code == 0
    assert {"resnet18", "torchvision/resnet18", "timm/resnet18d"} <= set(out.split())
    assert not [name for name in out.split() if "resnet18" not in name]
    code, out, _ = normbench_command("models", "timm/convnext_a*")
    assert code == 0 and out.startswith("timm/convnext_atto\n")
    code, _, err = normbench_command("models", "nonsense")
    assert code == 2 and "no model has nonsense in its name" in err


def test_one_trains_and_is_recorded_under_its_name_with_how_many_norms_were_replaced(
    normbench_command,
):
    code, out, err = normbench_command(
        "run", "model=timm/lcnet_035", "norm=groupnorm", *QUICK, *ONE_RUN
    )
    assert code == 0, err
    assert "normbench: model=timm/lcnet_035: replaced 27 of 27 norms by groupnorm" in err
    assert "timm/lcnet_035 on synthetic: groupnorm" in out
    (record,) = normbench_command.records
    config = json.loads(record.read_text())
    assert config["norm_layers"] == {"found": 27, "others": 0}
    assert config["config"]["model"] == {
        "name": "timm/lcnet_035", "_target_": "normbench.timm_model", "arch": "lcnet_035",
        "image_size": 16,
    }  # fmt: skip
    tables = [path.name for path in (normbench_command.folder / "results" / "tables").iterdir()]
    assert tables == ["synthetic_timm_lcnet_035.md"]


def test_a_model_without_norms_says_so_and_takes_none(normbench_command):
    words = ["model=torchvision/squeezenet1_1", *QUICK, *ONE_RUN, "data.image_size=32"]
    code, _, err = normbench_command("run", *words, "norm=batchnorm")
    assert code == 2 and "has no norm at all" in err and "choose norm=none" in err
    assert not (normbench_command.folder / "results" / "records").exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("torchvision/resnte50", "is not known: did you mean torchvision/resnet50 or"),
        ("timm/convnext_ato", "is not known: did you mean timm/convnext_atto or"),
        ("resnet50", "did you mean torchvision/resnet50 or timm/resnet50?"),
    ],
)
def test_a_name_that_there_is_not_is_told_with_what_is_near(normbench_command, name, line):
    code, _, err = normbench_command("run", f"model={name}", *QUICK)
    assert code == 2 and line in err and err.count("\n") == 1


def test_what_would_be_replaced_in_part_is_refused_unless_asked_for(normbench_command):
    words = ["model=timm/convnextv2_atto", "norm=none", *QUICK, *ONE_RUN, "data.image_size=32"]
    code, _, err = normbench_command("run", *words)
    assert code == 2 and "17 of 29 norms (not GlobalResponseNorm)" in err
    assert "+model.partial=true" in err


def test_a_library_that_is_not_there_is_named_with_its_extra(monkeypatch):
    zoo.model_names.cache_clear()
    monkeypatch.setattr(zoo, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'timm.*not installed: pip install "normbench\[timm\]"'):
        zoo.model_config("timm/convnext_atto")
    zoo.model_names.cache_clear()
    assert importlib.util.find_spec("timm")


def test_help_names_the_libraries_and_not_all_their_models(normbench_command):
    _, out, _ = normbench_command("run", "--help")
    (line,) = (line for line in out.splitlines() if line.startswith("model: "))
    assert ", timm/NAME, torchvision/NAME" in line and line.count("/") == 2


def test_the_shell_completes_their_names(monkeypatch):
    source = LibraryModels("normbench", "normbench-models://")
    monkeypatch.setattr(LibraryModels, "completed", "model=torchvision/resn")
    assert "torchvision/resnet50" in source.list("model", None)
    monkeypatch.setattr(LibraryModels, "completed", "model=t")
    assert source.list("model", None) == ["torchvision/", "timm/"]


def test_a_fixed_size_is_the_datas():
    from normbench.models.libraries import timm_model, torchvision_model

    assert torchvision_model("vit_b_32", 10, image_size=64).encoder.pos_embedding.shape[1] == 5
    assert timm_model("vit_tiny_patch16_224", 10, image_size=32).pos_embed.shape[1] == 5


def test_settings_of_a_librarys_own_go_through():
    from normbench.models.libraries import timm_model

    made = timm_model("lcnet_035", 10, settings={"drop_rate": 0.5})
    assert made.drop_rate == 0.5
