"""The README: its numbers are those of the records, its example works as it stands."""

import json
import re
from pathlib import Path

from command_line import TINY

from normbench.records import read_all
from normbench.report.tables import norm_tables

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_readmes_tables_are_those_of_the_records():
    records = [r for r in read_all(ROOT / "results") if r["config"]["model"]["name"] == "cnn4"]
    tables = dict(norm_tables(records))
    for norm in ("none", "batchnorm", "groupnorm"):
        assert f"**{norm}**\n\n{tables[norm]}\n" in README


def test_the_readmes_speeds_are_those_of_the_benchmark():
    ours, plain = [], []
    for precision in ("fp32", "bf16"):
        path = ROOT / "results" / "bench" / f"cpu_cnn4_batchnorm_{precision}.json"
        for row in json.loads(path.read_text())["rows"]:
            speeds = {n: c["images_per_second"] for n, c in row["contenders"].items() if len(c) > 1}
            rival = max(speeds["plain"], speeds.get("fastai", 0))
            best = speeds["normbench, 2 lanes"]
            ours.append(f"{best:,.0f} ({best / rival:.1f}×)")
            plain.append(f"{speeds['plain']:,.0f}")
    assert f"| normbench | {' | '.join(ours)} |" in README
    assert f"| plain loop | {' | '.join(plain)} |" in README


def test_the_readmes_own_layer_works_as_it_stands(normbench_command):
    name, code = re.search(r"```python\n# (\w+\.py)\n(.*?)```", README, re.S).groups()
    (normbench_command.folder / name).write_text(code)
    command = re.search(r"normbench (run .*norm\.layer\._target_=mylayer\S+.*)", README).group(1)
    code, out, err = normbench_command(
        *command.split(), *TINY, "grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0]"
    )
    assert code == 0, err
    assert len(normbench_command.records) == 1
    assert "cnn4 on synthetic: dyt" in out


def test_committed_tables_are_what_the_table_command_writes(normbench_command):
    committed = {p.name: p.read_bytes() for p in (ROOT / "results" / "tables").glob("*.md")}
    records = normbench_command.folder / "results" / "records"
    records.mkdir(parents=True)
    for path in (ROOT / "results" / "records").glob("*.json"):
        (records / path.name).write_bytes(path.read_bytes())
    assert normbench_command("table")[0] == 0
    written = (normbench_command.folder / "results" / "tables").glob("*.md")
    assert {p.name: p.read_bytes() for p in written} == committed
