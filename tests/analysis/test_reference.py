"""The article's numbers: read from the package, whatever rows the file has."""

import subprocess
import sys
from importlib import resources

import pytest

from normbench.analysis import reference

HEADER = "model,norm,batch_size,lr,accuracy_mean,accuracy_std,loss_mean,loss_std\n"


def test_the_cells_are_those_of_the_file_and_plausible():
    cells = reference.article_cells()
    file = resources.files("normbench") / "reference" / "article_tables.csv"
    assert len(cells) == len(file.read_text().splitlines()) - 1
    assert len({(c.model, c.norm, c.batch_size, c.lr) for c in cells}) == len(cells)
    for cell in cells:
        assert 0 < cell.accuracy_mean < 1 and (cell.loss_mean or 1) > 0
        assert (cell.accuracy_std or 0) >= 0 and (cell.loss_std or 0) >= 0


def test_all_of_its_cells_of_the_4_layer_network_are_there():
    cells = reference.article_cells()
    assert len(cells) == 28 and {c.model for c in cells} == {"cnn4"}
    norms = set(reference.article_norms()) - {"ws_groupnorm"}
    points = {(bs, lr) for bs in (128, 2) for lr in (0.01, 0.001)}
    assert {(c.norm, c.batch_size, c.lr) for c in cells} == {
        (n, *at) for n in norms for at in points
    }


@pytest.fixture
def another_file(monkeypatch, tmp_path):
    def use(text):
        (tmp_path / "reference").mkdir()
        (tmp_path / "reference" / "article_tables.csv").write_text(text)
        monkeypatch.setattr(reference.resources, "files", lambda package: tmp_path)
        reference.article_cells.cache_clear()
        return reference.article_cells()

    yield use
    reference.article_cells.cache_clear()


def test_more_rows_are_simply_used_and_what_is_not_known_is_none(another_file):
    cells = another_file(HEADER + "resnet18,groupnorm,2,0.01,0.7,0.02,,\ncnn4,x,8,1e-3,0.5,,1.5,\n")
    assert cells == (
        reference.ArticleCell("resnet18", "groupnorm", 2, 0.01, 0.7, 0.02, None, None),
        reference.ArticleCell("cnn4", "x", 8, 0.001, 0.5, None, 1.5, None),
    )


def test_reading_them_imports_neither_torch_nor_pandas():
    code = (
        "import sys\n"
        "from normbench.analysis.reference import article_cells\n"
        "assert article_cells()\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
