"""Numbers that leave the range, data that is hardly any."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from faults.images import write_folder
from faults.trial import ONE, TINY, Trial, fault

FOLDER = [
    "run", "-m", "data=imagefolder", "data.root=images", "data.image_size=16",
    "model.widths=[8,16]", "train.epochs=1", "engine.threads=1", "grid.lr=[0.01]", "grid.seeds=[0]",
    "grid.batch_size=[4]",
]  # fmt: skip
NORMS = "none,batchnorm,batchnorm_eps,running_batchnorm,layernorm,groupnorm,ws_groupnorm,ws_bcn"


@fault("a learning rate that makes the loss infinite")
def diverges(trial: Trial) -> str:
    done = trial.type("run", *ONE, "norm=none", "optimizer=sgd", "grid.lr=[1e30]").fine()
    (path,) = (trial.folder / "results" / "records").glob("*.json")
    assert json.loads(path.read_text())["status"] == "diverged"
    assert "seed 0 diverged" in done.out, done.out
    trial.type("table").fine()
    trial.type("status").fine()
    return "stored as diverged, named in the table"


@fault("constant images; one class only; a validation split of one image")
def hardly_any_data(trial: Trial) -> str:
    root = trial.folder / "images"
    write_folder(root, classes=("only",))
    for path in (root / "val" / "only").iterdir():
        if path.name != "0.png":
            path.unlink()
    for path in root.rglob("*.png"):
        Image.fromarray(np.full((20, 20, 3), 7, np.uint8)).save(path)
    done = trial.type(*FOLDER, f"norm={NORMS}").fine()
    assert done.trained == len(NORMS.split(","))
    return f"{done.trained} norms train, every number is finite or the run is said to have diverged"


@fault("a class that one split lacks")
def lacking_class(trial: Trial) -> str:
    import shutil

    write_folder(trial.folder / "images", classes=("cat", "dog", "emu"))
    shutil.rmtree(trial.folder / "images" / "val" / "emu")
    trial.type(*FOLDER).refused("emu")
    return "refused, naming the class"


@fault("batch size 1 with every norm, on maps of several pixels and of one")
def batch_of_one(trial: Trial) -> str:
    one = [setting for setting in TINY if not setting.startswith("model")]
    typed = ["run", "-m", *one, f"norm={NORMS}", "grid.batch_size=[1]", "grid.seeds=[0]"]
    several = trial.type(*typed, "model.widths=[8,16]").fine().trained
    assert several == len(NORMS.split(","))
    single = trial.type(*typed, "model.widths=[8,8,8,8,8]", "results.dir=single")
    assert single.code in (0, 1) and "Traceback" not in single.err, single.err
    failed = [line for line in single.err.splitlines() if "more than 1 value per channel" in line]
    return (
        f"all {several} train; on one pixel, {single.trained} do, and PyTorch's own reason is "
        f"given for the others ({len(failed)} lines)"
    )
