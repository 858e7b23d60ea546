"""A study is what one could type: its commands, its runs, and what there is of them."""

from dataclasses import replace

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from small_runs import NAMES

from normbench.claims.studies import claims_of
from normbench.cli import register
from normbench.errors import UserError
from normbench.places import config_folder
from normbench.studies import Part, load_study, study_names
from normbench.studies.found import ACCURACY, Found
from normbench.studies.study import AXES

PART = Part(
    name="sizes",
    command="run",
    settings={"model": "cnn4", "train.epochs": 3},
    sweep={"norm": ["none", "batchnorm"], "+model.activation": ["relu", "sigmoid"]},
    grid={"batch_size": [128, 2], "lr": [0.01], "seeds": [0, 1]},
)


def record(norm="none", activation="relu", batch_size=128, seed=0, accuracy=0.5, **changes):
    config = NAMES | {"norm": {"name": norm}, "model": {"name": "cnn4", "activation": activation}}
    return {
        "config": config,
        "batch_size": batch_size,
        "lr": 0.01,
        "seed": seed,
        "status": "finished",
        "epochs": [{"val_accuracy": accuracy}],
    } | changes


def found(*records):
    study = load_study("placement")
    rows = [
        {**choices, "seed": of["seed"], "record": of}
        for of in records
        if (choices := PART.choices(of)) is not None
    ]
    return Found(study, {"sizes": rows})


def test_a_part_is_a_command_that_one_could_type():
    assert PART.typed() == [
        "run", "-m", "model=cnn4", "train.epochs=3", "norm=none,batchnorm",
        "+model.activation=relu,sigmoid", "grid.batch_size=[128,2]", "grid.lr=[0.01]",
        "grid.seeds=[0,1]",
    ]  # fmt: skip
    assert PART.runs == 16


def test_records_of_other_settings_are_not_a_parts():
    assert PART.choices(record()) == {
        "norm": "none", "model.activation": "relu", "batch_size": 128, "lr": 0.01,
    }  # fmt: skip
    assert PART.choices(record(norm="groupnorm")) is None
    assert PART.choices(record(batch_size=64)) is None
    assert PART.choices(record(seed=2)) is None
    assert PART.choices(record(activation="tanh")) is None
    longer = record()
    longer["config"] = longer["config"] | {"train": {"epochs": 4}}
    assert PART.choices(longer) is None


def test_runs_that_lack_are_counted():
    there = [PART.choices(record(seed=seed)) | {"seed": seed} for seed in (0, 1)]
    assert PART.missing([]) == 16
    assert PART.missing(there) == 14
    assert PART.missing([*there, there[0]]) == 14


def test_numbers_of_the_runs_that_made_some_choices():
    of = found(
        record(accuracy=0.4),
        record(seed=1, accuracy=0.6),
        record(norm="batchnorm", accuracy=0.9),
        record(norm="batchnorm", seed=1, status="diverged"),
    )
    assert of.numbers(ACCURACY, norm="none") == [0.4, 0.6]
    assert of.sample(ACCURACY, norm="none", batch_size=128).mean == 0.5
    assert of.numbers(ACCURACY, norm="batchnorm") == [0.9, 0.1]  # a diverged one guesses
    assert of.numbers(ACCURACY, norm="groupnorm") == []
    assert of.sample(ACCURACY, norm="groupnorm") is None
    assert of.numbers(ACCURACY, part="another") == []
    assert of.diverged(norm="batchnorm") == 1


def test_the_full_size_is_the_same_study_with_other_settings_in_a_folder_of_its_own(tmp_path):
    small, full = (load_study("vgg_landscape", scale) for scale in ("small", "full"))
    assert small.reduced and not full.reduced
    assert small.parts[0].settings["model.width"] == 0.25
    assert full.parts[0].settings["model.width"] == 1.0
    assert small.folder(tmp_path) == tmp_path / "studies" / "vgg_landscape"
    assert full.folder(tmp_path) == tmp_path / "studies" / "vgg_landscape_full"


def test_names_that_are_not_known_are_one_line():
    with pytest.raises(UserError, match="^study placment is not known: did you mean 'placement'"):
        load_study("placment")
    with pytest.raises(UserError, match="^study.scale=huge is not known: choose small or full"):
        load_study("placement", "huge")


@pytest.mark.parametrize("name", study_names())
def test_every_study_says_what_it_is_and_its_claims_stand_without_a_run(name):
    study = load_study(name)
    assert study.title and study.decides and study.source.endswith(".")
    assert study.minutes <= 20 and set(study.texts) <= set("ABCD")
    assert study.runs == Found(study).missing
    claims = claims_of(name)
    assert claims
    for claim in claims:
        assert set(claim.texts) <= set(study.texts)
        judgement = claim.judge(Found(study))
        assert judgement.verdict == "not measured" and judgement.parts
        assert claim.rule.endswith(".") and claim.measured.endswith(".")
    assert set("".join(claim.texts for claim in claims)) == set(study.texts)


def test_numbers_and_claims_are_told_apart():
    numbers = [load_study(name).number for name in study_names()]
    assert numbers == sorted(set(numbers))
    names = [claim.name for name in study_names() for claim in claims_of(name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("scale", ["small", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", study_names())
def test_every_command_of_a_study_is_one_that_hydra_takes(name, scale):
    for part in load_study(name, scale).parts:
        one = replace(part, sweep={key: values[:1] for key, values in part.sweep.items()})
        command, _, *typed = one.typed()
        register(command)
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose(command, overrides=typed)
        found = {"config": OmegaConf.to_container(config, resolve=True)}
        found |= {field: part.grid[axis][0] for axis, field in AXES.items()}
        assert part.choices(found) is not None  # what it types is what it looks for
