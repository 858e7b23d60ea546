"""Figures: one look, told apart by everybody, the same bytes each time."""

import itertools
import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from normbench.analysis.reference import article_norms
from normbench.drawing import style
from normbench.places import config_names, read_config


def draw(folder):
    with style.figure(1, 2, sharey=True) as (fig, axes):
        looks = style.looks(["none", "batchnorm"])
        for ax, (norm, look) in zip(axes.flat, looks.items(), strict=True):
            ax.errorbar([0, 1], [1, 2], [0.1, 0.2], color=look.color, label=norm)
            ax.set_title(norm)
            ax.legend()
        style.caption(fig, "batch size 128, learning rate 0.01, seeds 0 to 2. " * 6)
    return style.save(fig, folder / "some figure")


def test_two_saves_give_the_same_bytes(tmp_path):
    paths = draw(tmp_path / "a")
    assert [p.name for p in paths] == ["some figure.png", "some figure.svg"]
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in draw(tmp_path / "b")]
    assert [p.name for p in sorted((tmp_path / "a").iterdir())] == [p.name for p in paths]


def test_a_process_of_its_own_with_a_taste_of_its_own_draws_the_same_bytes(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: none\naxes.grid: False\n")
    done = subprocess.run(
        [sys.executable, __file__, tmp_path / "b"],
        env=os.environ | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for path in draw(tmp_path / "a"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_files_tell_neither_the_day_nor_who_drew_them(tmp_path):
    png, svg = (path.read_bytes() for path in draw(tmp_path))
    assert b"tEXt" not in png and b"tIME" not in png
    assert not re.search(rb"<dc:(date|creator)|20\d\d-\d\d|[Mm]atplotlib v", svg)


def test_a_figure_leaves_the_users_own_style_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    draw(tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_the_caption_is_below_the_axes_and_inside_the_figure():
    with style.figure() as (fig, axes):
        axes[0, 0].set_xlabel("epoch")
        style.caption(fig, "batch size 128, learning rate 0.01, seeds 0, 1, 2. " * 8)
        fig.draw_without_rendering()
    label = axes[0, 0].xaxis.label.get_window_extent()
    caption = fig.texts[-1].get_window_extent()
    assert caption.y1 <= label.y0
    assert fig.bbox.x0 <= caption.x0 and caption.x1 <= fig.bbox.x1 and caption.y0 >= 0


# What a reader sees who lacks one kind of cone: linear RGB transforms of Machado et al. 2009.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def lab(color, eye):
    """CIE L*a*b* of a color as seen by an eye."""
    srgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(EYES[eye]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def drawn_together():
    """Name of a figure -> the norms in it: the article's, and those that each probe measures."""
    yield "article", article_norms()
    for name in config_names("probe"):
        yield name, read_config(f"probe/{name}").hydra.sweeper.params.norm.split(",")


TOGETHER = dict(drawn_together())


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("norms", TOGETHER.values(), ids=TOGETHER)
def test_norms_are_told_apart_by_color_whoever_looks(norms, eye):
    for (one, look), (other, another) in itertools.combinations(style.looks(norms).items(), 2):
        apart = np.linalg.norm(lab(look.color, eye) - lab(another.color, eye))
        assert apart > 12, f"{one} and {other} look alike: {apart:.1f}"  # 2.3 is just noticeable


@pytest.mark.parametrize("norms", TOGETHER.values(), ids=TOGETHER)
def test_norms_are_told_apart_by_marker_and_stand_out_from_the_page(norms):
    looks = style.looks(norms)
    assert len({look.marker for look in looks.values()}) == len(norms)
    for look in looks.values():
        assert lab(look.color, "all cones")[0] < 75  # white is 100


def test_a_norm_of_the_users_own_looks_the_same_in_every_figure_and_like_no_other():
    norms = article_norms()
    alone = style.looks(["dyt"])["dyt"]
    assert style.looks(["dyt", *norms])["dyt"] == style.looks([*norms, "dyt"])["dyt"] == alone
    assert alone not in style.looks(norms).values()


def test_any_norms_in_one_figure_look_different():
    """Those of one name with several settings among them, whose looks are drawn by lot."""
    own = [f"batchnorm (eps={i})" for i in range(20)]
    looks = style.looks([*own, "batchnorm_eps", "batchnorm_no_affine"])
    assert list(looks) == [*own, "batchnorm_eps", "batchnorm_no_affine"]
    assert len(set(looks.values())) == 22
    assert looks["batchnorm_eps"] == style.looks(["batchnorm_eps"])["batchnorm_eps"]


def ticks(low, high, which="y"):
    """Numbers along a logarithmic axis, and how many ticks it has between its ends."""
    with style.figure() as (fig, axes):
        ax = axes[0, 0]
        ax.plot([low, high], [low, high])
        style.log_scale(ax, which)
        fig.draw_without_rendering()
        axis = getattr(ax, f"{which}axis")
        ends = sorted(axis.get_view_interval())
        inside = [
            [tick for tick in places if ends[0] <= tick <= ends[1]]
            for places in (axis.get_majorticklocs(), axis.get_minorticklocs())
        ]
        numbers = axis.get_major_formatter().format_ticks(inside[0])
    return numbers, len(set(inside[0]) | set(inside[1]))


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize("low", [0.03, 1.1, 4.0])
@pytest.mark.parametrize("times", [3, 8, 40, 2000])
def test_a_logarithmic_axis_has_three_numbers_and_a_tick_at_each_digit(which, low, times):
    numbers, count = ticks(low, low * times, which)
    assert len(numbers) >= 3 and all("10^" not in number for number in numbers)
    assert count >= 9 * np.log10(times) - 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 10.000000000000002, np.nan])
def test_where_nothing_is_to_be_seen_nobody_is_warned(value, tmp_path):
    with style.figure() as (fig, axes):
        axes[0, 0].fill_between([1, 2], value, [10, value])
        style.log_scale(axes[0, 0])
    style.save(fig, tmp_path / "empty")


def test_numbers_are_as_few_as_tell_the_scale():
    assert ticks(0.9, 110)[0] == ["1", "10", "100"]
    assert ticks(0.9, 11)[0] == ["1", "2", "5", "10"]
    assert ticks(2, 2)[0], "where there is no range"


if __name__ == "__main__":
    from pathlib import Path

    draw(Path(sys.argv[1]))
