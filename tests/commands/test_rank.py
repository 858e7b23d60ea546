"""normbench rank: what is asked for among stored records; and runs that were tuned, ranked."""

import copy
import json

import pytest
from command_line import TINY
from made_up import runs, stored

from normbench.store.keys import run_key

NORMS = {"none": 0.4, "batchnorm": 0.5, "groupnorm": 0.6}
FIELD = [r for norm, accuracy in NORMS.items() for r in runs(norm, accuracy=accuracy)]
TUNE = ["tune=2", "grid.batch_size=[20]", "grid.seeds=[0,1]", "tuning.seeds=[7]"]


@pytest.fixture
def rank(normbench_command):
    """rank(records, *overrides) -> (exit code, standard output, standard error)"""

    def run(records, *overrides):
        stored(normbench_command.folder / "results", records)
        return normbench_command("rank", *overrides)

    run.folder = normbench_command.folder / "results" / "rank"
    return run


def mine(accuracy=0.55):
    records = copy.deepcopy(runs("none", accuracy=accuracy))
    for one in records:
        norm = {"name": "mine", "layer": {"_target_": "mylayer.Norm"}, "weight": None}
        one["config"]["norm"] = norm
        settings = {part: of for part, of in one["config"].items() if part != "grid"}
        one["key"] = run_key(settings, one["batch_size"], one["lr"], one["seed"])
    return records


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_writes_what_it_prints_and_the_same_bytes_each_time(rank):
    code, out, err = rank(FIELD)
    assert code == 0, err
    written = files(rank.folder)
    stem = "imagenette_cnn4"
    assert sorted(written) == sorted(
        [f"{stem}.csv", f"{stem}.md", f"{stem}_pairs.csv"]
        + [f"{stem}{figure}.{kind}" for figure in ("", "_curves") for kind in ("png", "svg")]
    )
    assert out.startswith(written[f"{stem}.md"].decode())
    assert rank([])[0] == 0 and files(rank.folder) == written


def test_a_norm_of_ones_own_is_placed_among_all_others(rank):
    code, out, err = rank(FIELD + mine(), "norm=mine")
    assert code == 0, err
    said = " ".join(out.partition("## In words")[2].partition("## ")[0].split())
    assert "mine (0.550) is above batchnorm by 0.050" in said and "below groupnorm by" in said
    assert said.count("- ") == 1


@pytest.mark.parametrize("about", [["norm=mine,none"], ["mine", "none"]], ids=["=", "words"])
def test_several_norms_can_be_named_and_be_compared_with_some_alone(rank, about):
    code, out, err = rank(FIELD + mine(), *about, "among=none,mine", "baseline=none")
    assert code == 0, err
    assert "## Differences to none" in out and "Left out, though they have runs:" in out
    assert "groupnorm (0" not in out


def test_each_model_dataset_and_protocol_has_a_page(rank):
    others = runs("none", model="resnet18") + runs("none", protocol=("optimizer=sgd",))
    code, out, err = rank(FIELD + others)
    assert code == 0, err
    pages = sorted(path.name for path in rank.folder.glob("*.md"))
    assert len(pages) == 3 and "imagenette_resnet18.md" in pages
    assert out.count("# Norms ranked: cnn4 on imagenette") == 2
    assert "Protocol: optimizer" in " ".join(out.split())
    code, out, _ = rank([], "model=resnet18")
    assert code == 0 and out.count("# Norms ranked") == 1


@pytest.mark.parametrize(
    "typed, culprit",
    [
        (["norm=grupnorm"], "norm=grupnorm has no runs here: did you mean 'groupnorm'"),
        (["baseline=x"], "baseline=x has no runs here"),
        (["model=resnet18,cnn4"], "model=resnet18 has no runs here"),
        (["norm=none", "among=groupnorm"], "norm=none is not among=groupnorm"),
        (["grid.batch_size=[7]"], "holds no runs of that"),
        (["tell=0"], "tell=0.0 is not valid"),
        (["tune=2"], "normbench run -m norm=… tune=2"),
        (["tune=2", "tuning.lr=[1,1]"], "tuning.lr=[1.0, 1.0] is not valid"),
    ],
)
def test_what_is_not_there_is_named_in_a_line(rank, typed, culprit):
    code, out, err = rank(FIELD, *typed)
    assert code == 2 and out == "" and culprit in err and len(err.splitlines()) == 1


def test_without_records_it_says_how_to_train_some(normbench_command):
    code, _, err = normbench_command("rank")
    assert code == 2 and "holds no records" in err and len(err.splitlines()) == 1


def test_norms_are_tuned_with_the_same_budget_and_ranked_by_other_seeds(normbench_command):
    nb = normbench_command
    code, out, err = nb("run", "-m", "norm=none,batchnorm", *TUNE, *TINY)
    assert code == 0, err
    records = [json.loads(path.read_text()) for path in nb.records]
    trials = [r for r in records if "held_out" in r["config"]["data"]]
    reported = [r for r in records if "held_out" not in r["config"]["data"]]
    assert {r["seed"] for r in trials} == {7} and {r["seed"] for r in reported} == {0, 1}
    assert len({r["lr"] for r in trials}) == 2 and len(trials) == len(reported) == 4
    assert out.count("chosen of 2 from") == 2 and "4 runs" not in err
    assert {r["environment"]["data"] for r in trials}.isdisjoint(
        r["environment"]["data"] for r in reported
    )

    # what is reported is an ordinary run, known to a command that tunes nothing
    norm, lr = (reported[0]["config"]["norm"]["name"], reported[0]["lr"])
    plain = [f"norm={norm}", f"grid.lr=[{lr}]", *TUNE[1:3], *TINY]
    assert "0 runs trained, 2 already there" in nb("run", *plain)[1]
    assert "0 runs trained" in nb("run", "-m", "norm=none,batchnorm", *TUNE, *TINY)[1]

    code, out, err = nb("rank", "tune=2", "tuning.seeds=[7]")
    assert code == 0, err
    assert "(tuned)" in out and "## What each norm chose" in out and "20 / tuned" in out
    assert "with seeds 7." in out and "No norm was tuned" not in out
    assert (nb.folder / "results" / "rank" / "synthetic_cnn4_tune2.md").is_file()
    code, _, err = nb("rank", "tune=3", "tuning.seeds=[7]")
    assert code == 2 and "lacks 2 runs that choose" in err


def test_a_weight_decay_is_chosen_with_the_learning_rate(normbench_command):
    nb, decays = normbench_command, "tuning.weight_decay=[0.001,0.1]"
    code, out, err = nb("run", "norm=none", *TUNE, decays, *TINY)
    assert code == 0, err
    records = [json.loads(path.read_text()) for path in nb.records]
    pairs = {(r["lr"], r["config"]["optimizer"]["weight_decay"]) for r in records}
    assert len(records) == 4 and len(pairs) == 2 and ", weight decay 0.0" in out
    code, out, err = nb("rank", "tune=2", decays, "tuning.seeds=[7]")
    assert code == 0, err
    assert "pairs of settings" in " ".join(out.split())


@pytest.mark.parametrize(
    "typed, culprit",
    [
        (["tune=-1"], "tune=-1 is not valid"),
        (["tune=2", "grid.lr=[1]"], "grid.lr has no effect with tune=2"),
        (["tune=2", "grid.split=run"], "grid.split=run does not go with tune=2"),
        (["tune=2", "tuning.seeds=[0]"], "tuning.seeds and grid.seeds both have 0"),
        (["tune=2", "tuning.held_out=1"], "tuning.held_out=1.0 is not valid"),
        (["tune=2", "data.held_out=0.5"], "data.held_out=0.5 does not go with tune=2"),
        (["tune=2", "tuning.weight_decay=[1]"], "tuning.weight_decay=[1.0] is not valid"),
    ],
)
def test_a_way_to_tune_that_makes_no_sense_is_named_in_a_line(normbench_command, typed, culprit):
    code, out, err = normbench_command("run", *typed, *TINY)
    assert code == 2 and culprit in err and len(err.splitlines()) == 1
    assert not normbench_command.records


def test_a_batch_size_can_be_a_job_of_its_own(normbench_command):
    nb = normbench_command
    sizes = ["grid.batch_size=[20,10]", "grid.split=batch_size"]
    code, out, err = nb("run", "norm=none", "tune=1", *TUNE[2:], *sizes, *TINY)
    assert code == 0, err
    assert "6 runs trained" in out and len(nb.records) == 6
