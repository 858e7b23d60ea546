"""Records out of here: tidy data, and tables in LaTeX."""

import json
import shutil
import subprocess
import sys

import pandas
import pytest
from made_up import probe_record, record, runs, stored

from normbench.store.probe_records import probe_store

READERS = {"csv": pandas.read_csv, "json": pandas.read_json, "parquet": pandas.read_parquet}


@pytest.fixture
def exported(normbench_command):
    """exported(format) -> its files by name, of a few runs and a probe."""
    results = stored(
        normbench_command.folder / "results",
        [*runs("none"), *runs("groupnorm", accuracy=0.6), record(norm="ws_bcn", status="diverged")],
    )
    probes = probe_store(results, "gradients")
    probes.make_writable()
    measured = {"layers": ["first"], "norms": [[1.0, None]], "of": {"steps": 2}}
    probes.write(probe_record("gradients", measured))

    def export(kind):
        code, out, err = normbench_command("export", kind)
        assert code == 0, err
        return {line: normbench_command.folder / line for line in out.splitlines()}

    return export


@pytest.mark.parametrize("kind", READERS)
def test_a_row_a_run_with_every_setting_and_a_row_an_epoch(exported, kind):
    files = exported(kind)
    frame = READERS[kind](files[f"results/export/runs.{kind}"])
    assert len(frame) == 7 and set(frame["norm"]) == {"none", "groupnorm", "ws_bcn"}
    assert set(frame["optimizer.name"]) == {"ranger"} and set(frame["train.epochs"]) == {3}
    assert json.loads(frame["model.widths"][0]) == [16, 32, 64, 128]
    assert frame["accuracy"].isna().sum() == 1
    epochs = READERS[kind](files[f"results/export/epochs.{kind}"])
    assert len(epochs) == 12 and set(epochs["epoch"]) == {1, 2}
    assert set(epochs["key"]) < set(frame["key"])


@pytest.mark.parametrize("kind", READERS)
def test_a_row_a_cell_and_a_row_a_number_that_a_probe_measured(exported, kind):
    files = exported(kind)
    cells = READERS[kind](files[f"results/export/cells.{kind}"]).set_index("norm")
    assert cells.loc["groupnorm", "accuracy"] == pytest.approx(0.6)
    assert cells.loc["groupnorm", "accuracy_std"] == pytest.approx(0.01)
    assert (cells.loc["ws_bcn", "runs"], cells.loc["ws_bcn", "diverged"]) == (1, 1)
    probe = READERS[kind](files[f"results/export/probe_gradients.{kind}"])
    assert probe["quantity"].tolist() == ["layers", "norms", "norms", "of.steps"]
    assert [str(place) for place in probe["place"]][1:3] == ["0,0", "0,1"]
    assert probe["value"].dropna().tolist() == [1.0, 2.0] and probe["text"][0] == "first"


def test_the_tables_in_latex(exported, tmp_path):
    (path,) = exported("latex").values()
    text = path.read_text()
    assert r"\caption{cnn4 on imagenette: 3 epochs, ranger, one\_cycle, 48 px" in text
    assert r"groupnorm & 128 & 0.01 & $\mathbf{0.60 \pm 0.01}$ & $1.50 \pm 0.02$ \\" in text
    assert r"ws\_bcn & 128 & 0.01 & diverged (0 of 3 runs; seed 0 diverged) & diverged \\" in text
    if shutil.which("pdflatex"):
        page = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}"
        (tmp_path / "page.tex").write_text(page + r"\end{document}")
        subprocess.run(["pdflatex", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("kind", ["csv", "latex", "json"])
def test_the_same_records_are_the_same_bytes(exported, kind):
    before = {name: path.read_bytes() for name, path in exported(kind).items()}
    assert {name: path.read_bytes() for name, path in exported(kind).items()} == before


def test_parquet_without_what_it_needs_is_a_line(exported, normbench_command, monkeypatch):
    for module in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, module, None)
    code, _, err = normbench_command("export", "parquet")
    assert code == 2 and 'pip install "normbench[parquet]"' in err and err.count("\n") == 1


def test_a_format_that_is_not_known_and_a_folder_without_records(normbench_command):
    code, _, err = normbench_command("export", "excel")
    assert code == 2 and "format=excel is not known: choose csv" in err
    code, _, err = normbench_command("export", "csv")
    assert code == 2 and "results holds no records" in err
