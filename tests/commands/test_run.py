"""`normbench run`, typed as a user types it."""

import json
import os
import re
import signal
import time
from random import Random

import pytest
from command_line import ONE_RUN, TINY

from normbench.checks import check_training

GRID = ["grid.batch_size=[20,4]", "grid.lr=[0.01]", "grid.seeds=[0,1]"]

LAYERS = '''
import os
import time
from multiprocessing import parent_process

from torch import nn


class Plain(nn.BatchNorm2d):
    pass


class Broken(nn.Identity):
    """Breaks in lanes only, not where it is tried before."""

    def forward(self, x):
        if parent_process():
            raise ArithmeticError("this layer never works")
        return x


class Slow(nn.Identity):
    def forward(self, x):
        time.sleep(0.02)
        return x


class Deadly(nn.Identity):
    """Kills the process that trains with it, the first time."""

    def forward(self, x):
        if not parent_process():  # where it is tried before
            return x
        try:
            open("died", "x").close()
        except FileExistsError:
            return x
        os.kill(os.getpid(), 9)
'''


def outcome(path):
    """What a run measured, without when and how fast."""
    record = json.loads(path.read_text())
    timing = ("train_seconds", "evaluation_seconds", "images_per_second", "checksum")
    return {key: value for key, value in record.items() if key not in timing}


def layer(name):
    return [f"norm.name={name.lower()}", f"norm.layer._target_=layers.{name}"]


@pytest.fixture
def nb(normbench_command):
    (normbench_command.folder / "layers.py").write_text(LAYERS)
    return normbench_command


def left_behind(folder):
    return {p.name for p in folder.iterdir()} - {"layers.py", "__pycache__", "died"}


def outcomes(nb, results):
    return [outcome(path) for path in nb.records_in(results)]


def test_a_grid_is_trained_once_and_a_table_tells_what_came_of_it(nb):
    code, out, err = nb.process("run", *TINY, *GRID, "norm=groupnorm")
    assert code == 0, err
    assert "cnn4 on synthetic: groupnorm" in out
    assert len(re.findall(r"^\|\s+(20|4) \|\s+0.01 \|.*±", out, re.M)) == 2
    assert "4 runs trained, 0 already there" in out
    for part in ("results/records", "results/tables"):
        assert part in out
    assert "[4/4]" in err and "left" in err
    assert len(nb.records) == 4
    record = json.loads(nb.records[0].read_text())
    assert record["config"]["norm"]["layer"]["num_groups"] == 8
    assert record["config"]["train"]["precision"] == "fp32"
    assert {"commit", "torch", "device", "cores", "threads", "normbench"} <= set(
        record["environment"]
    )
    assert str(nb.folder) not in nb.records[0].read_text()

    before = [p.read_bytes() for p in nb.records]
    code, out, _ = nb("run", *TINY, *GRID, "norm=groupnorm")
    assert code == 0 and "0 runs trained, 4 already there" in out
    assert [p.read_bytes() for p in nb.records] == before

    tables = nb.folder / "results" / "tables" / "synthetic_cnn4.md"
    after_run = tables.read_bytes()
    for _ in range(2):
        code, out, err = nb("table")
        assert (code, err) == (0, "") and "## groupnorm" in out
        assert tables.read_bytes() == after_run
    assert left_behind(nb.folder) == {"results"}
    assert not list(nb.folder.rglob("*.lock"))


def test_the_outcome_does_not_depend_on_lanes(nb):
    for lanes in (1, 3):
        code, _, err = nb("run", *TINY, *GRID, f"engine.lanes={lanes}", f"results.dir={lanes}")
        assert code == 0, err
    assert [p.name for p in nb.records_in("1")] == [p.name for p in nb.records_in("3")]
    assert len(nb.records_in("1")) == 4 and outcomes(nb, "1") == outcomes(nb, "3")


def test_a_sweep_killed_at_any_point_goes_on_where_it_stopped(nb):
    sweep = ["run", "-m", *TINY, "grid.batch_size=[4]", "grid.lr=[0.01]", "norm=none,batchnorm"]
    sweep += ["grid.seeds=[0,1]", "engine.lanes=1", "train.epochs=8"]
    process = nb.start(*sweep)
    while not nb.records:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    children = children_of(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finished = len(nb.records)
    assert 1 <= finished < 4
    assert children and gone(children), "a killed command must leave no process behind"

    code, out, err = nb(*sweep)
    assert code == 0, err
    assert re.search(rf"\b{4 - finished} runs? trained, {finished} already there", out)
    code, _, err = nb(*sweep, "results.dir=undisturbed")
    assert code == 0, err
    assert outcomes(nb, "results") == outcomes(nb, "undisturbed")
    tables = [nb.folder / d / "tables" / "synthetic_cnn4.md" for d in ("results", "undisturbed")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert not list(nb.folder.rglob("*.lock")) and not list(nb.folder.rglob(".*.json.*"))


def test_records_and_tables_do_not_depend_on_how_a_sweep_is_split(nb):
    sweep = ["run", *TINY, "-m", *GRID, "norm=none,groupnorm"]  # a flag may stand anywhere
    tables = []
    for split in ("none", "run"):
        code, out, err = nb(*sweep, f"grid.split={split}", f"results.dir={split}")
        assert code == 0, err
        assert "8 runs trained, 0 already there" in out
        tables.append(out[: out.index("8 runs trained")])
    assert tables[0] == tables[1]
    assert outcomes(nb, "none") == outcomes(nb, "run")
    tables = [nb.folder / d / "tables" / "synthetic_cnn4.md" for d in ("none", "run")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    code, out, _ = nb(*sweep, "grid.split=batch_size", "results.dir=run")
    assert code == 0 and "0 runs trained, 8 already there" in out
    code, out, err = nb("status", "results.dir=run")
    assert (code, err) == (0, "")
    assert "| synthetic | cnn4    | groupnorm |          4 |" in out


def test_a_sweep_checks_each_job_once_and_all_before_the_first_trains(nb, monkeypatch):
    checked = []

    def check(cfg):
        checked.append((cfg.norm.name, len(nb.records)))
        check_training(cfg)

    monkeypatch.setattr("normbench.job.check_training", check)
    code, out, err = nb("run", "-m", *TINY, *ONE_RUN, "norm=none,groupnorm,batchnorm")
    assert code == 0 and "3 runs trained" in out, err
    assert checked == [("none", 0), ("groupnorm", 0), ("batchnorm", 0)]
    code, out, err = nb("run", "-m", *TINY, *ONE_RUN, "force=true", "model.kernel_size=3,2")
    assert code == 2 and "kernel_size 2" in err and len(err.splitlines()) == 1
    assert len(nb.records) == 3 and not (nb.folder / "results/records/set_aside").exists()


@pytest.mark.slow
def test_two_processes_share_the_work_and_train_nothing_twice(nb):
    grid = ["grid.batch_size=[4]", "grid.lr=[0.01,0.001]", "grid.seeds=[0,1,2]", "train.epochs=6"]
    both = [nb.start("run", *TINY, *grid, "engine.lanes=1") for _ in range(2)]
    counts = []
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        counts.append([int(n) for n in re.search(r"(\d+) runs? trained, (\d+) al", out).groups()])
    assert sum(trained for trained, _ in counts) == 6
    assert all(trained and trained + found == 6 for trained, found in counts)
    assert not (nb.folder / "results" / "records" / "set_aside").exists()


def test_flags_may_stand_anywhere_among_settings(nb):
    experiments = nb.folder / "mine" / "experiment"
    experiments.mkdir(parents=True)
    (experiments / "wide.yaml").write_text("# @package _global_\nmodel: {widths: [7, 77]}\n")
    front = "--config-dir mine --cfg job norm=none experiment=wide ~force"
    between = "norm=none --config-dir mine ~force --cfg job experiment=wide"
    said = [nb("run", *words.split()) for words in (front, between)]
    assert said[0] == said[1] and said[0][0] == 0 and "- 77" in said[0][1]


@pytest.mark.slow
def test_jobs_in_other_processes_train_what_jobs_here_do(nb):
    sweep = ("run", "-m", *TINY, "norm=none,batchnorm", *GRID[1:], "grid.batch_size=[20]")
    typed = ("launcher=joblib", "hydra.launcher.n_jobs=2", "grid.split=run", "results.dir=joblib")
    code, out, err = nb.process(*sweep, *typed)
    assert code == 0 and "4 runs trained" in out, err
    assert nb(*sweep, "results.dir=here")[0] == 0
    assert len(nb.records_in("joblib")) == 4
    assert outcomes(nb, "joblib") == outcomes(nb, "here")


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(nb):
    process = nb.start(
        "run", *TINY, *layer("Slow"), "grid.batch_size=[60,4]", "grid.lr=[0.01]", "grid.seeds=[0]",
        "engine.lanes=1", "train.epochs=8",
    )  # fmt: skip
    while not nb.records:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    children = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].startswith("interrupted: finished runs are kept")
    assert "Traceback" not in err
    assert len(nb.records) == 1 and gone(children)


def test_one_failing_job_does_not_take_the_others_along(nb):
    code, out, err = nb(
        "run", "-m", *TINY, *ONE_RUN, "norm.layer._target_=layers.Broken,layers.Plain"
    )
    assert code == 1
    assert len(nb.records) == 1
    assert "1 run trained" in out
    assert "1 failed:" in err and "ArithmeticError: this layer never works" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert "ArithmeticError: this layer never works" in nb("status")[1]
    logs = "".join(p.read_text() for p in nb.folder.glob("results/logs/*/0/run.log"))
    assert "Traceback" in logs


def test_a_lane_that_dies_is_replaced_and_its_run_trained_again(nb):
    code, out, err = nb("run", *TINY, *GRID, *layer("Deadly"), "engine.lanes=2")
    assert code == 0, err
    assert "4 runs trained" in out
    assert err.count("was killed by SIGKILL; trying once more") == 1


@pytest.mark.slow
def test_lanes_killed_at_random_moments_lose_nothing(nb):
    grid = ["grid.batch_size=[4]", "grid.lr=[0.01,0.001]", "grid.seeds=[0,1,2]", "train.epochs=8"]
    process = nb.start("run", *TINY, *grid, "engine.lanes=2")
    random = Random(5)
    killed = set()
    while len(killed) < 3 and process.poll() is None:
        lanes = lanes_of(process.pid) - killed
        if len(nb.records) > len(killed) and lanes:
            time.sleep(random.uniform(0, 0.2))
            victim = random.choice(sorted(lanes))
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        time.sleep(0.05)
    out, err = process.communicate(timeout=300)
    assert len(killed) == 3 and "was killed by SIGKILL; trying once more" in err
    twice = err.count("was killed by SIGKILL, 2 times") // 2  # said when it happens and at the end
    assert process.returncode == (1 if twice else 0)
    assert f"{6 - twice} runs trained, 0 already there" in out
    code, out, err = nb("run", *TINY, *grid, "engine.lanes=2")
    assert code == 0 and f"{6 - twice} already there" in out
    nb("run", *TINY, *grid, "engine.lanes=2", "results.dir=undisturbed")
    assert outcomes(nb, "results") == outcomes(nb, "undisturbed")


def test_a_diverged_run_is_stored_and_named_but_measures_nothing(nb):
    sgd = ["optimizer=sgd", "schedule=constant", "grid.lr=[1e30]"]
    typed = ["run", *TINY, *GRID, *sgd, "train.epochs=3"]
    code, out, err = nb(*typed)
    assert code == 0, err
    assert out.count("diverged (0 of 2 runs; seeds 0, 1 diverged)") == 2
    for path in nb.records:
        record = json.loads(path.read_text())
        assert record["status"] == "diverged" and record["epochs"] == []
    assert "4 already there" in nb(*typed)[1]


def better(record):
    """What somebody might write who would like it so."""
    record["epochs"][-1]["val_accuracy"] = 0.99


def longer(record):
    record["config"]["train"]["epochs"] = 3


@pytest.mark.parametrize("damage", [None, better, longer])
def test_a_record_that_is_damaged_or_edited_is_set_aside_and_its_run_trained_again(nb, damage):
    grid = ["grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0,1]"]
    nb("run", *TINY, *grid)
    path = nb.records[0]
    whole = outcome(path)
    if damage:
        record = json.loads(path.read_text())
        damage(record)
        path.write_text(json.dumps(record))
    else:
        path.write_bytes(path.read_bytes()[:100])
    code, out, err = nb("run", *TINY, *grid)
    assert code == 0 and "1 run trained, 1 already there" in out
    (line,) = [line for line in err.splitlines() if "record" in line]
    assert f"record {path.name} cannot be read" in line
    assert outcome(path) == whole
    assert len(list((nb.folder / "results/records/set_aside").iterdir())) == 1


def test_force_trains_again_and_keeps_the_older_records(nb):
    nb("run", *TINY, *ONE_RUN)
    code, out, _ = nb("run", *TINY, *ONE_RUN, "force=true")
    assert code == 0 and "1 run trained" in out
    assert len(list((nb.folder / "results/records/set_aside").iterdir())) == 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precisions_train_on_the_cpu_too(nb, precision):
    code, _, err = nb("run", *TINY, *ONE_RUN, "norm=ws_bcn", f"train.precision={precision}")
    assert code == 0, err
    record = json.loads(nb.records[0].read_text())
    assert record["status"] == "finished"
    assert record["config"]["train"]["precision"] == precision


def test_any_torch_optimizer_by_its_target(nb):
    adagrad = ["optimizer._target_=torch.optim.Adagrad", "optimizer.name=adagrad"]
    typed = ["run", *ONE_RUN, *adagrad, "schedule=one_cycle", "model=resnet18"]
    code, _, err = nb(*typed, *TINY, "~model.widths")
    assert code == 2 and "widths" in err  # resnet18 has none to delete: said, not ignored
    code, _, err = nb(*typed, *[setting for setting in TINY if not setting.startswith("model")])
    assert code == 0, err
    settings = json.loads(nb.records[0].read_text())["config"]["optimizer"]
    assert settings == {"_target_": "torch.optim.Adagrad", "name": "adagrad"}


@pytest.mark.slow
def test_one_epoch_of_a_small_network_on_real_images_beats_chance_clearly(nb, imagenette_root):
    code, out, err = nb(
        "run", f"data.root={imagenette_root}", "norm=batchnorm", "train.epochs=1",
        "grid.batch_size=[32]", "grid.lr=[0.01]", "grid.seeds=[0]",
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(nb.records[0].read_text())
    assert record["epochs"][-1]["val_accuracy"] > 0.35
    assert "cnn4 on imagenette: batchnorm" in out


def children_of(pid):
    """Ids of all processes in the session that the command leads, but itself."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != pid:
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == pid:
                found.append(int(entry))
    return found


def lanes_of(pid):
    """Ids of a command's lanes: what its fork server, a child of its own, has forked."""
    family = children_of(pid)
    parents = {}
    for child in family:
        try:
            with open(f"/proc/{child}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[child] = int(fields[1])
    return {child for child, parent in parents.items() if parent in family}


def gone(pids, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
            return True
        time.sleep(0.1)
    return False
