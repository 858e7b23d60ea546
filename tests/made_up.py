"""Made-up records: of any run, and of the article's cells under the default protocol."""

from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from normbench.analysis.cells import default_probes, probed_settings, select, select_probes
from normbench.analysis.comparison import compare
from normbench.analysis.reference import ArticleCell
from normbench.article_grid import article_settings
from normbench.cli import register
from normbench.places import config_folder
from normbench.store.keys import run_key, stable
from normbench.store.records import SCHEMA, RecordStore

GRID = {"batch_size": [128, 2], "lr": [0.01, 0.001], "seeds": [0, 1, 2]}
RANKED = ("none", "batchnorm", "batchnorm_eps", "layernorm", "groupnorm", "ws_bcn")
CELLS = [(bs, lr) for bs in GRID["batch_size"] for lr in GRID["lr"]]


@cache
def settings(*overrides):
    """(model, norm) -> outcome settings, as compare looks for them."""
    register("compare")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return article_settings(compose("compare", overrides=list(overrides)))


def record_of(run, **changes):
    """The least that the record of a run holds."""
    return {
        "schema": SCHEMA,
        "key": run.key,
        "config": stable(run.settings) | {"grid": {"seeds": [0]}},
        "batch_size": run.batch_size,
        "lr": run.lr,
        "seed": run.seed,
        "status": "finished",
        "epochs": [{"train_loss": 1.5, "val_loss": 1.25, "val_accuracy": 0.5}],
        "train_seconds": 2.0,
        "images_per_second": 100.0,
        "environment": {"device": "a CPU"},
    } | changes


def record(
    model="cnn4", norm="batchnorm", batch_size=128, lr=0.01, seed=0, accuracy=0.5, loss=1.5,
    seconds=10.0, status="finished", protocol=(), precision="fp32", **norm_settings,
):  # fmt: skip
    """One run's record. norm_settings: of its layer, other than the config's."""
    config = dict(settings(f"train.precision={precision}", *protocol)[model, norm])
    if norm_settings:
        config["norm"] = config["norm"] | {"layer": config["norm"]["layer"] | norm_settings}
    epoch = {"train_loss": loss, "val_loss": loss, "val_accuracy": accuracy}
    return {
        "schema": SCHEMA,
        "key": run_key(config, batch_size, lr, seed),
        "config": config | {"grid": GRID},
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "epochs": [epoch | {"val_accuracy": 0.0}, epoch] if status == "finished" else [],
        "status": status,
        "train_seconds": seconds,
        "evaluation_seconds": 1.0,
        "images_per_second": 100.0,
        "environment": {"device": "a CPU", "commit": "abc", "normbench": "0.1"},
    }


def runs(norm, batch_size=128, lr=0.01, accuracy=0.5, spread=0.01, loss=1.5, **changes):
    """A cell's three runs: mean and sample standard deviation of the accuracy are those given."""
    return [
        record(
            norm=norm, batch_size=batch_size, lr=lr, seed=seed, accuracy=accuracy + step * spread,
            loss=loss * (1 + step / 100), **changes,
        )
        for seed, step in enumerate((-1, 0, 1))
    ]  # fmt: skip


def results(records, precision="auto", protocol=()):
    """The cells that records are of."""
    wanted = settings(*protocol, f"train.precision={precision}")
    return select(records, wanted, (GRID["batch_size"], GRID["lr"], GRID["seeds"]))


def article_cell(
    norm="none", batch_size=128, lr=0.01, accuracy=0.47, std=0.01, loss=1.59, loss_std=0.1
):
    """A cell of cnn4 as the article might have it."""
    return ArticleCell("cnn4", norm, batch_size, lr, accuracy, std, loss, loss_std)


def ranked(norms=RANKED):
    """Cells of several norms, ours ranked as the article's but for the first two."""
    ours = {norm: 0.4 + place / 50 for place, norm in enumerate(norms)}
    theirs = {
        norm: 0.38 + place / 50 for place, norm in enumerate((norms[1], norms[0], *norms[2:]))
    }
    found = results([r for n in norms for bs, lr in CELLS for r in runs(n, bs, lr, ours[n])])
    cells = [article_cell(n, bs, lr, round(theirs[n], 2)) for n in norms for bs, lr in CELLS]
    return found, compare(found, cells), (list(ours.values()), [theirs[n] for n in norms])


def stored(folder, records):
    """Records as files below a results folder."""
    files = RecordStore(folder)
    files.make_writable()
    for one in records:
        files.write(one)
    return folder


def probe_record(probe, measured, norm="batchnorm", seed=0, status="finished", lr=0.01, **changes):
    """What a probe measured of one run. changes: of the probe's default settings."""
    known = ("cnn4", norm) in settings()
    run = record(norm=norm if known else "none", seed=seed, lr=lr)
    config = probed_settings(run["config"], default_probes()[probe])
    config["probe"] |= changes
    if not known:
        config["norm"] = config["norm"] | {"name": norm}
    of_run = {name: settings for name, settings in config.items() if name != "grid"}
    return {
        "schema": SCHEMA,
        "key": run_key(of_run, run["batch_size"], run["lr"], seed),
        "config": config,
        **{field: run[field] for field in ("batch_size", "lr", "seed", "environment")},
        "status": status,
        "measured": measured,
        "seconds": 1.0,
    }


def probe_results(records, precision="auto", protocol=()):
    """Probe -> the cells that its records are of."""
    wanted, grid = settings(*protocol, f"train.precision={precision}"), tuple(GRID.values())
    return select_probes(
        {
            probe: [r for r in records if r["config"]["probe"]["name"] == probe]
            for probe in default_probes()
        },
        wanted,
        grid,
    )
