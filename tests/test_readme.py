"""The README (and where it sends to): its numbers are those of the records, its example works."""

import json
import re
import shutil
from pathlib import Path

from command_line import TINY

from normbench.report.bench import glance

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_readmes_table_is_that_of_the_comparison():
    comparison = (ROOT / "results" / "comparison.md").read_text()
    glance = comparison.partition("## cnn4 at a glance\n\n")[2].partition("\n\n")[0]
    assert glance.count("\n") > 5 and f"\n\n{glance}\n\n" in README


def test_the_protocol_is_the_one_that_scored_best():
    report = (ROOT / "results" / "calibration.md").read_text()
    scores = report.partition("## Scores")[2].partition("## Accuracies")[0]
    lines = [line.split("|") for line in scores.splitlines() if re.match(r"\| +\d", line)]
    _, _, mean, largest, *_, protocol, _ = (cell.strip() for cell in lines[0])
    assert protocol == "**the default protocol**"
    words = " ".join((ROOT / "docs" / "article.md").read_text().split())
    assert f"one of {len(lines)} candidates" in words
    assert f"accuracies are {mean} apart in the mean, {largest} at most" in words


def test_committed_reports_are_what_the_commands_write_from_the_records(normbench_command):
    results = normbench_command.folder / "results"
    for name in ("records", "calibration/records", "probes", "studies"):
        if (ROOT / "results" / name).is_dir():
            shutil.copytree(ROOT / "results" / name, results / name)
    for command, written in (
        ("table", ["tables/imagenette_cnn4.md"]),
        ("compare", ["comparison.md", "comparison.csv"]),
        ("claims", ["claims.md"]),
        ("calibration", ["calibration.md"]),
        ("rank", [f"rank/imagenette_cnn4{end}" for end in (".md", ".csv", "_pairs.csv")]),
    ):
        code, _, err = normbench_command(command)
        assert code == 0, err
        for name in written:
            assert (results / name).read_bytes() == (ROOT / "results" / name).read_bytes(), name


def test_the_readmes_speeds_are_those_of_the_benchmark():
    measured = sorted((ROOT / "results" / "bench").glob("cpu_cnn4_batchnorm_*.json"))
    assert measured
    for path in measured:
        for line in glance(json.loads(path.read_text())):
            assert f"| {' | '.join(line)} |" in README


def test_the_readmes_own_layer_works_as_it_stands(normbench_command):
    name, code = re.search(r"```python\n# (\w+\.py)\n(.*?)```", README, re.S).groups()
    (normbench_command.folder / name).write_text(code)
    command = re.search(r"normbench (run norm\.layer\._target_=mylayer\S+)", README).group(1)
    code, out, err = normbench_command(
        *command.split(), *TINY, "grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0]"
    )
    assert code == 0, err
    assert len(normbench_command.records) == 1
    layer = re.search(r"mylayer\.(\w+)", command).group(1)
    assert f"cnn4 on synthetic: {layer}" in out  # the class's name, as none was typed
