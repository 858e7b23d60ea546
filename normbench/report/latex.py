r"""The article's tables in LaTeX, for ``\usepackage{booktabs}``: one a model and protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.groups import conditions, groups, norm_groups, protocol_of
from normbench.analysis.welch import Sample
from normbench.report.tables import DIVERGED, Row, file_name, norm_rows
from normbench.store.records import Record

ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
FRAME = r"""\begin{table}
  \centering
  \caption{%s}
  \label{tab:%s}
  \begin{tabular}{lrrll}
    \toprule
    Norm & Batch size & Learning rate & Accuracy & Loss \\
%s    \bottomrule
  \end{tabular}
\end{table}
"""


def latex_tables(records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """File name and content for each dataset and model; a table for each of their protocols."""
    for (data, model), of_both in groups(
        records, lambda r: (r["config"]["data"]["name"], r["config"]["model"]["name"])
    ):
        protocols = [of for _, of in groups(of_both, lambda r: canonical(protocol_of(r)))]
        labels = distinctions([protocol_of(of[0]) for of in protocols])
        stem = f"{file_name(data)}_{file_name(model)}"
        tables = []
        for number, (of_protocol, label) in enumerate(zip(protocols, labels, strict=True), 1):
            name = stem if len(protocols) == 1 else f"{stem}_{number}"
            words = f"{model} on {data}: {conditions(of_protocol)}" + (f" {label}." * bool(label))
            tables.append(FRAME % (escaped(words), name.replace("_", "-"), _body(of_protocol)))
        yield f"{stem}.tex", "\n".join(tables)


def escaped(text: str) -> str:
    """Text with what LaTeX would take for its own."""
    return "".join(ESCAPED.get(letter, letter) for letter in text).replace("±", r"$\pm$")


def _body(records: Sequence[Record]) -> str:
    lines = []
    for norm, of_norm in norm_groups(records):
        lines.append(r"    \midrule")
        for number, row in enumerate(norm_rows(of_norm)):
            lines.append(f"    {_line(escaped(norm) if number == 0 else '', row)}")
    return "".join(f"{line}\n" for line in lines)


def _line(norm: str, row: Row) -> str:
    accuracy = _number(row.accuracy, row.best)
    if row.caveat:
        accuracy += f" ({escaped(row.caveat)})"
    cells = (norm, str(row.batch_size), f"{row.lr:g}", accuracy, _number(row.loss))
    return " & ".join(cells) + r" \\"


def _number(sample: Sample | None, bold: bool = False) -> str:
    if sample is None:
        return DIVERGED
    text = str(sample).replace("±", r"\pm")
    return rf"$\mathbf{{{text}}}$" if bold else f"${text}$"
