"""Which rankings a results folder has, as asked for, and the files of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.ranking import Ranking, only, rankings
from normbench.analysis.tuning import Tuning
from normbench.drawing.style import save
from normbench.errors import UserError
from normbench.explain import nearest
from normbench.report.rank import View, cells_csv, markdown, pairs_csv
from normbench.report.rank_costs import PROBES
from normbench.report.rank_figure import curves_figure, ranking_figure
from normbench.report.tables import file_name
from normbench.store.files import write_atomically
from normbench.store.probe_records import read_probe
from normbench.store.records import Record, nothing_recorded, read_all

BASELINES = "batchnorm", "none"  # what is set beside where nothing else is asked for


def views(results: Path, config: Mapping[str, Any]) -> list[tuple[View, Path]]:
    """Every ranking that is asked for, and the stem of its files.

    Args:
        results: the results folder.
        config: of ``normbench rank``, as plain values.

    Raises:
        UserError: if there are no runs, or none of what is named.
    """
    records = read_all(results)
    if not records:
        raise nothing_recorded(results)
    records = _looked_at(records, config)
    tuning = Tuning.of(config)
    found = rankings(records, tuning)
    if not any(ranking.cells for _, ranking in found):
        raise UserError(_no_runs(results, tuning, [ranking for _, ranking in found]))
    about, among, baseline = config["names"]["norm"], config["among"], config["baseline"]
    there = {norm for _, ranking in found for norm in ranking.norms}
    for name, wanted in (("norm", about), ("among", among), ("baseline", baseline and [baseline])):
        for norm in wanted or ():
            if not _variants(there, norm):
                raise _unknown(name, norm, there)
    probes = {probe: read_probe(results, probe) for probe in PROBES}
    pages = []
    for settings, whole, stem, label in _named(results, found, tuning):
        asked = [n for name in among or () for n in _variants(whole.norms, name)]
        ranking = only(whole, asked) if among else whole
        told = [n for name in about or () for n in _variants(ranking.norms, name)]
        if not ranking.norms or (about and not told):
            continue
        view = View(
            ranking=ranking,
            settings=settings,
            baseline=_baseline(ranking, baseline),
            about=told,
            tell=config["tell"],
            probes=probes,
            tuning=tuning,
            label=label,
            left_out=[norm for norm in whole.norms if norm not in ranking.norms],
        )
        pages.append((view, stem))
    if not pages:
        raise UserError(
            f"norm={','.join(about)} is not among={','.join(among)}: name it there, too"
        )
    return pages


def write_page(view: View, stem: Path) -> tuple[str, list[Path]]:
    """Write STEM.md, .csv, _pairs.csv, and figures STEM and STEM_curves as .png and .svg.

    Returns:
        The page, and all files.
    """
    text = markdown(view)
    texts = {
        Path(f"{stem}.md"): text,
        Path(f"{stem}.csv"): cells_csv(view),
        Path(f"{stem}_pairs.csv"): pairs_csv(view),
    }
    for path, content in texts.items():
        write_atomically(path, content)
    figures = save(ranking_figure(view), stem)
    figures += save(curves_figure(view), Path(f"{stem}_curves"))
    return text, [*texts, *figures]


def _looked_at(records: list[Record], config: Mapping[str, Any]) -> list[Record]:
    """The records with what is named, and on the grid that is given."""
    for part in ("data", "model", "optimizer", "schedule"):
        if wanted := config["names"][part]:
            there = {record["config"][part]["name"] for record in records}
            for name in wanted:
                if name not in there:
                    raise _unknown(part, name, there)
            records = [r for r in records if r["config"][part]["name"] in wanted]
    for axis, one in (("batch_size", "batch_size"), ("lr", "lr"), ("seeds", "seed")):
        if (values := config["grid"][axis]) is not None:
            records = [record for record in records if record[one] in values]
    return records


def _variants(norms: Iterable[str], name: str) -> list[str]:
    """The norm of that name, and those that are named after it as their settings differ."""
    return [norm for norm in norms if norm == name or norm.startswith(f"{name} (")]


def _baseline(ranking: Ranking, wanted: str | None) -> str | None:
    """The norm that others are set beside: the wanted one, or BatchNorm, or none, or the best."""
    norms = ranking.norms
    if len(norms) < 2:
        return None
    for name in filter(None, [wanted, *BASELINES]):
        if variants := _variants(norms, name):
            return name if name in variants else variants[0]
    return norms[0]


def _named(
    results: Path, found: Sequence[tuple[dict[str, Any], Ranking]], tuning: Tuning | None
) -> Iterator[tuple[dict[str, Any], Ranking, Path, str]]:
    """Rankings with the stem of their files, and what sets each apart from others of that name."""
    tuned = f"_tune{tuning.budget}" if tuning else ""
    names = [
        f"{file_name(of['data']['name'])}_{file_name(of['model']['name'])}{tuned}"
        for of, _ in found
    ]
    for name, (settings, ranking) in zip(names, found, strict=True):
        alike = [of for other, (of, _) in zip(names, found, strict=True) if other == name]
        label = distinctions(alike)[alike.index(settings)]
        # as of other figures: to tell several protocols apart takes a digest of their settings
        digest = sha256(canonical(settings).encode()).hexdigest()[:4]
        mark = f"_{digest}" if len(alike) > 1 else ""
        yield settings, ranking, results / "rank" / f"{name}{mark}", label


def _unknown(setting: str, name: str, there: Iterable[str]) -> UserError:
    return UserError(f"{setting}={name} has no runs here{nearest(name, sorted(there))}")


def _no_runs(results: Path, tuning: Tuning | None, found: Sequence[Ranking]) -> str:
    if tuning is None:
        return (
            f"results.dir={results} holds no runs of that: normbench rank alone takes all of them"
        )
    lacking = sum(choice.lacking for ranking in found for choice in ranking.chosen.values())
    what = f"lacks {lacking} runs that choose" if lacking else "holds no runs that were tuned so"
    return (
        f"results.dir={results} {what}: train them with normbench run -m norm=… "
        f"tune={tuning.budget}, and give tuning here as there"
    )
