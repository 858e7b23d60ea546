"""normbench compare: ours beside the article's, from stored records."""

import pytest
from made_up import record, runs, stored


@pytest.fixture
def compare(normbench_command):
    """compare(records, *overrides) -> (exit code, standard output, standard error)"""

    def run(records, *overrides):
        stored(normbench_command.folder / "results", records)
        return normbench_command("compare", *overrides)

    run.folder = normbench_command.folder / "results"
    return run


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "records"
    }


def test_it_writes_what_it_prints_and_the_same_bytes_each_time(compare):
    records = runs("none") + runs("batchnorm", 2, 0.001) + runs("ws_bcn")
    code, out, err = compare(records)
    assert code == 0, err
    written = files(compare.folder)
    names = ["comparison.csv", "comparison.md", "figures/comparison.png", "figures/comparison.svg"]
    assert sorted(written) == names
    assert out.startswith(written["comparison.md"].decode())
    for path in compare.folder.rglob("comparison.*"):
        path.unlink()
    assert compare([], "hydra.job.name=again")[0] == 0
    assert files(compare.folder) == written


def test_another_protocol_is_compared_by_its_settings(compare):
    sgd = ("optimizer=sgd", "models.cnn4.widths=[8,16,32,64]")
    records = runs("none", accuracy=0.47, protocol=sgd)
    code, out, err = compare(records)
    assert code == 2 and out == "" and "holds no record of this protocol (3 of others)" in err
    code, out, err = compare([], *sgd)
    assert code == 0 and "| 0.47 ± 0.01 | 0.47 ± 0.01 |" in out


def test_the_articles_numbers_are_not_set_beside_runs_on_other_data(compare):
    records = runs("none", accuracy=0.47, protocol=("data=synthetic",))
    code, out, err = compare(records, "data=synthetic")
    assert code == 0, err
    assert "their data are synthetic and not imagenette" in " ".join(out.split())
    assert "| 0.47 ± 0.01 | –" in out and "0.47 ± 0.01 | 0.47" not in out
    assert ",0.4700,0.0100,,," in (compare.folder / "comparison.csv").read_text()


def test_a_replaced_optimizer_is_found(compare):
    own = record(norm="none", protocol=("optimizer=sgd",))
    own["config"]["optimizer"] = {"name": "nadam", "_target_": "torch.optim.NAdam"}
    code, out, err = compare([own], "optimizer._target_=torch.optim.NAdam", "optimizer.name=nadam")
    assert code == 0, err
    assert "3 epochs, nadam" in out
