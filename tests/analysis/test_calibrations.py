"""Frozen protocols: what they were chosen by stays known, whatever the default is."""

import copy

from made_up import GRID, record, runs, settings

from normbench.analysis.calibrations import Calibration, calibrations, was_fitted
from normbench.analysis.reference import article_cells, article_norms

(FIRST,) = (calibration for calibration in calibrations() if calibration.name == "first")


def test_the_first_was_chosen_by_twelve_cells_and_predicted_sixteen():
    cells = article_cells()
    assert len(cells) == 28
    assert sum(FIRST.fitted(cell.model, cell.norm) for cell in cells) == 12
    assert all(FIRST.fitted("cnn4", norm) for norm in ("none", "batchnorm", "layernorm"))
    assert not FIRST.fitted("cnn4", "groupnorm") and not FIRST.fitted("resnet18", "none")
    assert FIRST.grid == tuple(map(tuple, GRID.values()))


def test_a_calibration_holds_all_that_its_records_hold():
    for (model, norm), of in settings("train.precision=fp32").items():
        assert FIRST.settings[model, norm].keys() == of.keys()
    assert {norm for _, norm in FIRST.settings} == set(article_norms())


def test_it_is_known_by_its_settings_in_whatever_precision():
    found = {place: was_fitted(of) for place, of in FIRST.settings.items()}
    assert found["cnn4", "none"] is True and found["cnn4", "groupnorm"] is False
    changed = copy.deepcopy(dict(FIRST.settings["cnn4", "none"]))
    changed["train"]["precision"] = "bf16"
    assert was_fitted(changed) is True
    changed["train"]["epochs"] = 5
    assert was_fitted(changed) is None
    other_norm = copy.deepcopy(dict(FIRST.settings["cnn4", "batchnorm"]))
    other_norm["norm"]["layer"]["momentum"] = 0.5
    assert was_fitted(other_norm) is None
    assert was_fitted(other_norm | {"model": {"name": "another"}}) is None


def test_what_is_measured_later_does_not_change_what_it_predicted():
    """Other seeds, other cells, another default protocol: none of it is looked at."""
    of_first = calibration_of_the_default()
    before = of_first.results(runs("groupnorm"))
    later = [
        record(norm="groupnorm", seed=7, accuracy=0.9),
        record(norm="groupnorm", batch_size=32, accuracy=0.9),
        record(norm="groupnorm", accuracy=0.9, precision="bf16"),
        record(norm="groupnorm", accuracy=0.9, protocol=("optimizer=sgd",)),
    ]
    after = of_first.results(runs("groupnorm") + later)
    assert after.cells == before.cells and after.cells["cnn4", "groupnorm", 128, 0.01].records


def calibration_of_the_default() -> Calibration:
    return Calibration(
        "now", "", {"cnn4": ("none",)}, settings("train.precision=fp32"), tuple(GRID.values())
    )
