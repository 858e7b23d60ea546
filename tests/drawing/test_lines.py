"""Lines of several runs, and names at their ends."""

import itertools

import numpy as np
import pytest
from drawn import shades_of
from matplotlib.text import Text

from normbench.analysis.averages import mean
from normbench.drawing import style
from normbench.drawing.lines import apart, draw_runs, label_ends


def test_the_average_is_a_line_and_the_range_is_shaded():
    with style.figure() as (_, axes):
        ax = axes[0, 0]
        draw_runs(ax, [0, 1], np.array([[1.0, 4.0], [2.0, np.nan], [6.0, 4.0]]), mean, "red")
        assert ax.lines[0].get_ydata().tolist() == [3, 4]
        assert shades_of(ax) == [(1, 6)]


def test_of_one_run_nothing_is_shaded():
    with style.figure() as (_, axes):
        draw_runs(axes[0, 0], [0, 1], np.array([[1.0, 4.0]]), mean, "red")
        assert len(axes[0, 0].lines) == 1 and shades_of(axes[0, 0]) == []


def test_places_that_are_far_apart_stay():
    assert apart([0.9, 0.1, 0.5], 0.2) == [0.9, 0.1, 0.5]


@pytest.mark.parametrize("places", [[0.5, 0.5, 0.5], [0.3, 0.31, 0.8, 0.79, 0.02], [1, 0.99, 0.98]])
def test_places_that_are_close_are_moved_apart_in_their_order(places):
    moved = apart(places, 0.1)
    order = sorted(range(len(places)), key=lambda i: places[i])
    for one, other in itertools.pairwise(order):
        assert moved[other] - moved[one] >= 0.1 - 1e-9
    assert min(moved) >= 0 and max(moved) <= 1
    assert apart([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])


def test_every_line_has_its_name_at_its_last_number_and_no_two_overlap():
    with style.figure() as (fig, axes):
        ax = axes[0, 0]
        for i in range(6):
            ax.plot([0, 1, 2], [i, 5, 5 + i / 100], color="red", label=f"norm {i}")
        ax.plot([0, 1, 2], [1, 2, np.nan], color="red", label="ends early")
        ax.plot([0, 1, 2], [np.nan] * 3, color="red", label="none")
        label_ends(ax, {line.get_label(): "red" for line in ax.lines})
        fig.draw_without_rendering()
        names = {text.get_text(): text for text in ax.texts}
        assert set(names) == {*(f"norm {i}" for i in range(6)), "ends early"}
        assert names["norm 3"].xy == (2, 5.03) and names["ends early"].xy == (1, 2)
        boxes = sorted((Text.get_window_extent(name) for name in ax.texts), key=lambda box: box.y0)
        assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(boxes))
        assert all(box.x0 > ax.bbox.x1 and box.x1 < fig.bbox.x1 for box in boxes)


def test_no_line_no_name():
    with style.figure() as (_, axes):
        label_ends(axes[0, 0], {"batchnorm": "blue"})
        assert not axes[0, 0].texts
