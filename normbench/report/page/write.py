"""All of the page in one file, the same bytes for the same records."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from normbench.analysis.groups import norm_rank
from normbench.article_grid import ArticleGrid
from normbench.drawing.style import looks
from normbench.report.page import outcomes, verdicts
from normbench.report.page.charts import DETAILS, Chart
from normbench.report.page.explorer import explorers
from normbench.report.page.measured import Measured, measured
from normbench.report.page.outcomes import Tab
from normbench.report.page.ranks import ranked
from normbench.report.page.sections import CLAIMED, METHOD, MORE, SECTIONS, Section
from normbench.report.page.studies import StudyView, study_views
from normbench.report.page.verdicts import Judged
from normbench.report.studies import NOT_TO_BE_HAD
from normbench.store.records import read_all

MOST_DATA = 1.5e6  # characters: with all else that makes a page of 3 MB at most
FILES = resources.files("normbench.report.page")
STYLES = ("page.css", "parts.css", "print.css")
VENDOR = ("d3.min.js", "plot.umd.min.js")
SCRIPTS = (
    "state.js", "numbers.js", "tables.js", "tabs.js", "plots.js", "charts.js", "explorer.js",
    "demo.js", "claims.js", "main.js",
)  # fmt: skip

# matplotlib's markers as Observable Plot's symbols
SYMBOLS = {
    "X": "cross", "o": "circle", "s": "square", "^": "triangle", "v": "wye", "D": "diamond",
    "<": "star", ">": "hexagon", "*": "star", "h": "hexagon", "d": "diamond", "P": "cross",
    "p": "wye",
}  # fmt: skip


@dataclass
class Part:
    """A section as it is filled.

    Attributes:
        section: which.
        number: from 1.
        claims: that answer it.
        measured: of its probes.
        studies: of its questions.
        missing: commands that would measure what lacks, and what that is, in words.
    """

    section: Section
    number: int
    claims: list[Judged] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    studies: list[StudyView] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)


def page(article: ArticleGrid) -> str:
    """The page of a results folder, as HTML.

    Args:
        article: the folder, and what to set beside the article's numbers.
    """
    records = read_all(article.results)
    results = article.find()
    tabs = outcomes.tabs(results, records)
    found = measured(article.results)
    studies = study_views(article.results)
    judged = [*verdicts.judge(results, article.probes()), *(c for s in studies for c in s.claims)]
    parts = _parts(judged, found, studies)
    charts_of = {tab.id: tab_charts(tab) for tab in tabs}
    charts = [chart for of in charts_of.values() for chart in of]
    ranks = ranked(records)
    charts += [one.chart for one in ranks]
    charts += [chart for one in found for chart in one.charts]
    charts += [chart for one in studies for chart in one.charts]
    norms = _norms(tabs, charts)
    trainings = explorers(found)
    for detail in DETAILS:
        drawn = {chart.id: chart.data(detail) for chart in charts}
        data = _as_json({"norms": norms, "charts": drawn, "explorers": trainings})
        if len(data) < MOST_DATA:
            break
    environment = _environment()
    scripts = [*(_read("vendor", name) for name in VENDOR), _script()]
    return environment.get_template("page.html.j2").render(
        tabs=tabs,
        charts_of=charts_of,
        ranks=ranks,
        shown=[tab for tab in tabs if tab.measured],
        parts=parts,
        claimed=CLAIMED,
        method=METHOD,
        groups=verdicts.grouped(judged),
        counts=verdicts.count(judged),
        judged=judged,
        measured=found,
        studies=studies,
        norms=norms,
        outcomes=outcomes,
        explorers=trainings,
        detail=None if detail == DETAILS[0] else detail,
        records=records,
        not_to_be_had=NOT_TO_BE_HAD,
        facts=_facts(records, found, studies),
        styles="\n".join(_read("styles", name) for name in STYLES),
        scripts=scripts,
        policy=_policy(scripts),
        data=data,
        licences=[(name, _read("vendor", f"{name}.LICENSE")) for name in ("d3", "plot")],
    )


def _parts(
    judged: Sequence[Judged], found: Sequence[Measured], studies: Sequence[StudyView]
) -> list[Part]:
    """What stands in each section; probes that none names have one at the end."""
    by_name = {one.claim.name: one for one in judged}
    placed = {probe for section in SECTIONS for probe in section.probes}
    numbers = {number for section in SECTIONS for number in section.studies}
    parts = []
    for number, section in enumerate(SECTIONS, start=1):
        part = Part(section, number)
        part.claims = [by_name[name] for name in section.claims if name in by_name]
        part.measured = [one for p in section.probes for one in found if one.probe == p]
        part.studies = [s for s in studies if s.study.number in section.studies]
        there = {one.probe for one in part.measured}
        there |= {of.probe for one in studies for of in one.study.parts if of.probe}
        part.missing = [
            (f"what the {probe} probe measures", f"normbench probe probe={probe}")
            for probe in section.probes
            if probe not in there
        ]
        parts.append(part)
    rest = [one for one in found if one.probe not in placed]
    others = [s for s in studies if s.study.number not in numbers]
    if rest or others:
        parts.append(Part(MORE, len(parts) + 1, measured=rest, studies=others))
    return parts


def tab_charts(tab: Tab) -> list[Chart]:
    """All charts of what runs came to; none where the article's numbers would stand alone."""
    if not tab.measured:
        return []
    of = (outcomes.accuracy_chart, outcomes.batch_size_chart, outcomes.speed_chart)
    charts = [chart for draw in of if (chart := draw(tab))]
    return charts + outcomes.curve_charts(tab)


def _norms(tabs: Iterable[Tab], charts: Iterable[Chart]) -> list[dict[str, Any]]:
    """Every norm of the page, in the article's order, with its look and the class of its rows."""
    named = {norm for tab in tabs if tab.measured for norm in tab.norms}
    named |= {norm for chart in charts for norm in chart.norms}
    ordered = sorted(named, key=norm_rank)
    return [
        {"name": norm, "color": look.color, "symbol": SYMBOLS.get(look.marker, "circle")}
        for norm, look in looks(ordered).items()
    ]


def _facts(
    records: Sequence[Mapping[str, Any]],
    found: Sequence[Measured],
    studies: Sequence[StudyView],
) -> dict[str, Any]:
    """What the folder holds, in numbers."""
    every = [*records, *(r for one in found for r in one.records)]
    every += [r for study in studies for r in study.records]
    environments = [r["environment"] for r in every]
    return {
        "runs": len(records),
        "probed": sum(len(one.records) for one in found),
        "studied": sum(len(study.records) for study in studies),
        "devices": sorted({e["device"] for e in environments}),
        "commits": sorted({e.get("commit") or "release" for e in environments}),
        "data": sorted({r["config"]["data"]["name"] for r in every}),
        "models": sorted({r["config"]["model"]["name"] for r in every}),
    }


def _script() -> str:
    """The page's own scripts, which see one another and nobody else."""
    body = "\n".join(_read("scripts", name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _policy(scripts: Iterable[str]) -> str:
    """Nothing is loaded, nothing is sent, and no script runs but these.

    Styles may be set by elements: with no network there is nothing that they could tell anybody.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _as_json(data: Any) -> str:
    """JSON that ends no element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    escaped = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}
    for character, code in escaped.items():
        text = text.replace(character, code)
    return text


def _read(folder: str, name: str) -> str:
    return FILES.joinpath(folder, name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("normbench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "signed": signed,
        "number": number,
        "markdown": markdown,
        "slug": slug,
        "range_of": range_of,
        "capitalized": capitalized,
    }
    return environment


def number(value: float | None, form: str = ".2f") -> str:
    """A number as it is printed; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = format(value, form)
    return "0" + text[2:] if text.startswith("-0") and not float(text) else text.replace("-", "−")


def signed(value: float | None, form: str = "+.2f") -> str:
    """A difference as it is printed, with its sign unless it is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = format(value, form)
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def range_of(part: Any) -> str:
    """Where a part's number is if the claim holds, in words."""
    from normbench.report.parts import range_of as words

    return words(part).replace("-", "−")


def capitalized(text: str) -> str:
    """With a capital letter, whatever the others are."""
    return text[:1].upper() + text[1:]


def slug(text: str) -> str:
    """A name that a class or an id can have."""
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text.lower())


def markdown(text: str) -> Any:
    """A summary as HTML without its title; what looks like HTML in it stays text."""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["link", "image", "autolink"])
    body = "\n".join(line for line in text.splitlines() if not line.startswith("# "))
    return Markup(reader.render(body))
