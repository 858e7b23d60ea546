"""The notebooks of examples/ do what they say, from the first cell to the last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def outputs(cell, kind):
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


@pytest.mark.slow
def test_a_layer_from_a_cell_to_its_rank(tmp_path, monkeypatch):
    (path,) = EXAMPLES
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    _, plan, results, frame, rank, probe = code
    assert "24 runs, 0 already there, 24 to train" in outputs(plan, "text/markdown")[0]
    (table,) = outputs(results, "text/markdown")
    assert "cnn4 on synthetic: PixelNorm" in table and "24 runs trained" in table
    assert "<table" in outputs(frame, "text/html")[0]
    assert "PixelNorm" in outputs(rank, "text/plain")[0]
    assert "<img " in outputs(rank, "text/html")[0] and "<img " in outputs(probe, "text/html")[0]
    assert (tmp_path / "results" / "rank" / "synthetic_cnn4.md").is_file()


def test_a_notebook_is_kept_without_what_a_machine_made_of_it():
    assert EXAMPLES
    for path in EXAMPLES:
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs") and not cell.get("execution_count"), path.name
