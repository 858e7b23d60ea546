"""What runs came to, as a figure of nothing but them: accuracy and loss, one row a norm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from normbench.analysis.cells import Cell
from normbench.analysis.groups import by_norm, groups
from normbench.analysis.welch import Sample
from normbench.drawing import style
from normbench.drawing.captions import mean_and_std, protocol_line
from normbench.drawing.rows import HEIGHT, OURS, mark, norm_rows
from normbench.store.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = 12  # cells in a figure
FAR_APART = 10  # times: losses that differ by more are drawn on a logarithmic axis


def draw(records: list[Record], label: str = "") -> Iterator[Figure]:
    """Accuracy and loss of each cell, left and right, from the largest batch size to the smallest.

    Args:
        records: of one protocol and model.
        label: what sets the protocol apart from others, for the caption.

    Yields:
        A figure for every ``PAGE`` cells.
    """
    norms = list(by_norm(records))
    looks = {norm: OURS | {"color": look.color} for norm, look in style.looks(norms).items()}
    caption = (
        f"Of the validation split after the last epoch: {mean_and_std(records)}. "
        f"{protocol_line(records)}."
    )
    if label:
        caption += f" Protocol: {label}."
    places = list(cells(records).items())
    for start in range(0, len(places), PAGE):
        of_page = places[start : start + PAGE]
        height = 0.6 + len(of_page) * (0.85 + HEIGHT * len(norms))
        with style.figure(len(of_page), 2, height, sharex="col") as (fig, axes):
            for pair, ((batch_size, lr), of) in zip(axes, of_page, strict=True):
                pair[0].set_title(f"batch size {batch_size}, learning rate {lr:g}")
                _draw_cell(pair, of, looks)
            if _far_apart([cell.loss for _, of in of_page for cell in of.values()]):
                style.log_scale(axes[0, 1], "x")  # for all, as they share it
            for (accuracy, _), (_, of) in zip(axes, of_page, strict=True):
                for norm, cell in of.items():
                    _note(accuracy, cell, norms.index(norm))
            style.caption(fig, caption)
        yield fig


def cells(records: list[Record]) -> dict[tuple[int, float], dict[str, Cell]]:
    """(batch size, learning rate) -> norm -> cell, for records of one protocol and model; large
    batch sizes and learning rates come first."""
    found: dict[tuple[int, float], dict[str, Cell]] = {}
    for norm, of_norm in by_norm(records).items():
        for (size, lr), of_cell in groups(of_norm, lambda r: (r["batch_size"], r["lr"])):
            seeds = {seed for record in of_cell for seed in record["config"]["grid"]["seeds"]}
            model = of_cell[0]["config"]["model"]["name"]
            cell = Cell(model, norm, size, lr, tuple(sorted(seeds)), tuple(of_cell))
            found.setdefault((size, lr), {})[norm] = cell
    return dict(sorted(found.items(), reverse=True))


def _draw_cell(axes: Sequence[Axes], of: dict[str, Cell], looks: dict[str, dict[str, Any]]) -> None:
    """Accuracy and loss; every norm has a row, whether it was run here or not."""
    norms = list(looks)
    for ax, name in zip(axes, ("accuracy", "loss"), strict=True):
        norm_rows(ax, norms)
        ax.set_xlabel(name)
        ax.tick_params(labelbottom=True, labelleft=name == "accuracy")
        for norm, cell in of.items():
            mark(ax, getattr(cell, name), norms.index(norm), looks[norm])


def _note(ax: Axes, cell: Cell, row: int) -> None:
    """Write beside a cell which of its runs lack or diverged, where its mean is not."""
    if not cell.caveat:
        return
    low, high = ax.get_xlim()
    left = cell.accuracy is not None and cell.accuracy.mean > (low + high) / 2
    ax.annotate(
        cell.caveat, (0.02 if left else 0.98, row), xycoords=("axes fraction", "data"),
        ha="left" if left else "right", va="center", fontsize=8, color=style.FAINT,
    )  # fmt: skip


def _far_apart(losses: Sequence[Sample | None]) -> bool:
    means = [loss.mean for loss in losses if loss]
    return bool(means) and 0 < FAR_APART * min(means) < max(means)
