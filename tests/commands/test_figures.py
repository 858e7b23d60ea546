"""normbench figures, as a user types it after runs of their own."""

from command_line import ONE_RUN, TINY
from made_up import runs, stored

OWN = """
from torch import nn
class Mine(nn.BatchNorm2d):
    pass
"""


def figures(nb):
    return sorted(path.name for path in (nb.folder / "results" / "figures").glob("*"))


def test_runs_of_ones_own_on_other_data_are_drawn(normbench_command):
    nb = normbench_command
    (nb.folder / "own.py").write_text(OWN)
    mine = ["norm.layer._target_=own.Mine", "norm.name=mine"]
    for norm in (mine, ["norm=none"]):
        code, _, err = nb("run", *TINY, *ONE_RUN, *norm)
        assert code == 0, err
    code, out, err = nb("figures")
    assert code == 0 and err == ""
    assert out == ("results/figures/outcomes_synthetic_cnn4.png, outcomes_synthetic_cnn4.svg\n")
    assert figures(nb) == ["outcomes_synthetic_cnn4.png", "outcomes_synthetic_cnn4.svg"]
    svg = (nb.folder / "results/figures/outcomes_synthetic_cnn4.svg").read_text()
    for text in ("mine", "none", "accuracy", "loss", "batch size 20, learning rate 0.01"):
        assert f"<!-- {text} -->" in svg
    assert "article" not in svg and "calibrated" not in svg


def test_runs_like_the_articles_are_drawn_by_themselves_and_beside_it(normbench_command):
    stored(normbench_command.folder / "results", runs("none"))
    code, out, err = normbench_command("figures")
    assert code == 0, err
    assert [line.split(".png")[0] for line in out.splitlines()] == [
        "results/figures/outcomes_imagenette_cnn4",
        "results/figures/comparison",
    ]
    svg = (normbench_command.folder / "results/figures/comparison.svg").read_text()
    assert "<!-- the article&#x27;s -->" in svg or "<!-- the article's -->" in svg


def test_of_nothing_at_all_one_line_says_what_to_do(normbench_command):
    code, out, err = normbench_command("figures")
    assert code == 2 and out == ""
    (line,) = err.splitlines()
    assert "normbench run" in line and "normbench probe" in line
