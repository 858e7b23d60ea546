"""What a drawn figure says: its caption, what its legend names, and the rows of a panel."""


def caption_of(figure):
    """In one line, wherever it is broken."""
    return " ".join(figure.get_supxlabel().split())


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def rows_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def shades_of(ax):
    """Lowest and highest y of each shaded area."""
    return [
        (path.vertices[:, 1].min(), path.vertices[:, 1].max())
        for area in ax.collections
        for path in area.get_paths()
    ]
