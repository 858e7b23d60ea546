"""What runs came to, as figures: any norm, any protocol, every cell; and their files."""

import numpy as np
import pytest
from drawn import caption_of, rows_of
from made_up import probe_record, record, runs, stored

from normbench.probes.gradients import Gradients
from normbench.report.figures import draw_figures, draw_outcomes
from normbench.report.outcomes_figure import PAGE, cells, draw
from normbench.store.probe_records import probe_store

SYNTHETIC = ("data=synthetic",)


def own(norm, **changes):
    """Runs of a norm of the user's own on data that the article does not know."""
    records = runs("batchnorm", protocol=SYNTHETIC, **changes)
    for one in records:
        one["config"] = one["config"] | {"norm": {"name": norm, "layer": {"_target_": "my.Norm"}}}
        one["key"] = f"{norm}{one['key']}"[:16]
    return records


def means(ax):
    """Row -> mean."""
    return {
        int(line.get_ydata()[0]): pytest.approx(line.get_xdata()[0])
        for line in ax.lines
        if line.get_marker() == "o"
    }


def test_accuracy_and_loss_of_every_cell_norm_by_norm():
    records = runs("none", accuracy=0.3, loss=2.0) + own("mine", accuracy=0.4, loss=1.0)
    records += own("mine", batch_size=2, accuracy=0.6, loss=0.5)
    (figure,) = draw(records)
    accuracy, loss, small_accuracy, small_loss = figure.axes
    assert accuracy.get_title("left") == "batch size 128, learning rate 0.01"
    assert small_accuracy.get_title("left") == "batch size 2, learning rate 0.01"
    assert [ax.get_xlabel() for ax in figure.axes] == ["accuracy", "loss"] * 2
    assert rows_of(accuracy) == rows_of(small_accuracy) == ["none", "mine"]
    assert means(accuracy) == {0: 0.3, 1: 0.4} and means(loss) == {0: 2, 1: 1}
    assert means(small_accuracy) == {1: 0.6} and means(small_loss) == {1: 0.5}
    assert "over 3 seeds" in caption_of(figure)


def test_runs_that_diverged_or_lack_are_named_where_their_mean_would_be():
    records = [record(norm="none", seed=seed, status="diverged") for seed in range(3)]
    records += runs("batchnorm", accuracy=0.4)[:2] + runs("groupnorm", accuracy=0.2)
    (figure,) = draw(records)
    notes = {text.xy[1]: text.get_text() for text in figure.axes[0].texts}
    assert notes == {0: "0 of 3 runs; seeds 0, 1, 2 diverged", 1: "2 of 3 runs"}
    assert means(figure.axes[0]) == {1: 0.395, 2: 0.2}
    assert "3 of 8 runs diverged" in caption_of(figure)


def test_losses_that_are_far_apart_do_not_hide_each_other():
    def scale(other):
        (figure,) = draw(runs("none", loss=2.0) + runs("batchnorm", loss=other))
        return figure.axes[1].get_xscale()

    assert scale(1.0) == "linear" and scale(1e6) == "log"


def test_cells_are_in_the_tables_order():
    records = [record(batch_size=bs, lr=lr) for bs in (2, 16, 128) for lr in (0.1, 1.0)]
    assert list(cells(records)) == [(bs, lr) for bs in (128, 16, 2) for lr in (1.0, 0.1)]


def test_many_cells_are_many_pages(tmp_path):
    stored(tmp_path, [record(lr=10.0**-i, protocol=SYNTHETIC) for i in range(PAGE + 1)])
    names = [stem.name for stem in draw_outcomes(tmp_path)]
    assert names == ["outcomes_synthetic_cnn4", "outcomes_synthetic_cnn4_page2"]
    assert all((tmp_path / "figures" / f"{name}.png").is_file() for name in names)


def test_each_protocol_has_its_own_figure_and_the_same_bytes_each_time(tmp_path):
    stored(tmp_path, own("mine") + own("my_other") + runs("none", protocol=("optimizer=sgd",)))
    stored(tmp_path, runs("none", protocol=("optimizer=sgd", "train.epochs=1")))
    stems = draw_outcomes(tmp_path)
    *imagenette, synthetic = [stem.name for stem in stems]
    assert synthetic == "outcomes_synthetic_cnn4" and len(set(imagenette)) == 2
    assert all(name.startswith("outcomes_imagenette_cnn4_") for name in imagenette)
    drawn = {path: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert len(drawn) == 6
    assert draw_outcomes(tmp_path) == stems
    assert {path: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == drawn


def test_names_that_are_no_file_names_do_not_leave_the_folder(tmp_path):
    records = own("mine")
    for one in records:
        one["config"] = one["config"] | {"data": one["config"]["data"] | {"name": "../my data"}}
    stored(tmp_path, records)
    assert [stem.name for stem in draw_outcomes(tmp_path)] == ["outcomes_.._my_data_cnn4"]


def test_nothing_recorded_nothing_drawn(tmp_path):
    assert draw_outcomes(tmp_path) == [] and not list(tmp_path.iterdir())


def test_probes_figures_have_the_same_bytes_whatever_order_records_are_read_in(tmp_path):
    norms = np.random.default_rng(0).lognormal(size=(2, 20)).tolist()
    measured = {"layers": ["features.0", "features.3"], "norms": norms}
    records = [probe_record("gradients", measured, "none", seed) for seed in (0, 1)]
    drawn = []
    for folder, order in ((tmp_path / "a", records), (tmp_path / "b", records[::-1])):
        store = probe_store(folder, "gradients")
        store.make_writable()
        for one in order:
            store.write(one)
        (stem,) = draw_figures(folder, "gradients", Gradients)
        drawn.append(
            [stem.with_name(stem.name + end).read_bytes() for end in (".png", ".svg", ".md")]
        )
    assert drawn[0] == drawn[1]


def test_a_probes_figures_of_several_protocols_say_how_these_differ(tmp_path, monkeypatch):
    captions = []
    monkeypatch.setattr(
        "normbench.report.figures.save", lambda fig, stem: captions.append(caption_of(fig))
    )
    store = probe_store(tmp_path, "gradients")
    store.make_writable()
    measured = {"layers": ["conv"], "norms": [[1.0] * 40]}
    for epochs in (3, 5):
        one = probe_record("gradients", measured)
        one["config"] = one["config"] | {"train": one["config"]["train"] | {"epochs": epochs}}
        one["key"] = f"{epochs}{one['key']}"[:16]
        store.write(one)
    pages = draw_figures(tmp_path, "gradients", Gradients)
    assert len(pages) == len(captions) == 2
    assert all("Protocol: " in text for text in (*captions, *pages.values()))
    assert captions[0] != captions[1]
