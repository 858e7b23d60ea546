"""Input that is damaged, wrong, or wants to be executed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

from faults.images import write_folder
from faults.trial import ONE, SWEEP, NotHere, Trial, fault, measured, same
from normbench.store.keys import checksum
from normbench.store.records import SCHEMA, RecordStore

FOLDER = ["data", "data=imagefolder", "data.root=images"]


@fault("damaged images: truncated, empty, random bytes, text, a decompression bomb", short=True)
def images(trial: Trial) -> str:
    from PIL import Image

    write_folder(trial.folder / "images")
    victim = trial.draw.choice(sorted((trial.folder / "images").rglob("*.png")))
    good = victim.read_bytes()
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "png")
    damages = {
        "truncated": good[: trial.draw.randrange(1, len(good) - 20)],
        "empty": b"",
        "random": trial.draw.randbytes(len(good)),
        "text": b"not an image\n",
        "bomb": bomb.getvalue(),
    }
    if trial.short:
        damages = dict([trial.draw.choice(list(damages.items()))])
    for content in damages.values():
        victim.write_bytes(content)
        trial.type(*FOLDER).refused(victim.name)
        split = victim.relative_to(trial.folder / "images").parts[0]
        assert not list((trial.folder / "cache").glob(f"*{split}*")), "it was prepared"
    return f"{', '.join(damages)}: refused, naming the file; its split is not prepared"


@fault("folders that are laid out wrongly")
def layouts(trial: Trial) -> str:
    root = trial.folder / "images"
    wrong = {
        "no train/": lambda: shutil.rmtree(root / "train"),
        "a class missing in val/": lambda: shutil.rmtree(root / "val" / "cat"),
        "a class missing in train/": lambda: shutil.rmtree(root / "train" / "cat"),
        "an empty class": lambda: _empty(root / "train" / "cat"),
        "no class folders": lambda: _flatten(root / "train"),
        "nothing at all": lambda: _empty(root),
        "a file": lambda: (shutil.rmtree(root), root.write_text("")),
    }
    for damage in wrong.values():
        if root.is_file():
            root.unlink()
        shutil.rmtree(root, ignore_errors=True)
        write_folder(root)
        damage()
        trial.type(*FOLDER).refused("images")
    return f"{', '.join(wrong)}: refused, naming the folder"


@fault("bits that flip in the prepared cache")
def cache(trial: Trial) -> str:
    write_folder(trial.folder / "images")
    trial.type(*FOLDER).fine()
    wanted = measured(trial.folder / "cache")
    for _ in range(3):
        path = trial.draw.choice(sorted((trial.folder / "cache").iterdir()))
        content = bytearray(path.read_bytes())
        content[trial.draw.randrange(len(content))] ^= 1 << trial.draw.randrange(8)
        path.write_bytes(content)
        done = trial.type(*FOLDER).fine()
        assert f"{path.name} is damaged" in done.err, done.err
        same(measured(trial.folder / "cache"), wanted)
    return "noticed, and prepared again"


@fault("records truncated at every byte, and with any byte replaced by any other", short=True)
def records(trial: Trial) -> str:
    holds = trial.without_faults(SWEEP).holds
    record = next(content for name, content in holds.items() if name.startswith("records/"))
    record = record | dict.fromkeys(("train_seconds", "images_per_second"), 1.0)
    record |= {"checksum": checksum(record)}
    store = RecordStore(trial.folder / "results")
    store.make_writable()
    whole, path = json.dumps(record, indent=1).encode(), store.path(record["key"])
    log = _silenced()
    ends = range(0, len(whole), 10 if trial.short else 1)
    for end in ends:
        path.write_bytes(whole[:end])
        assert store.read(record["key"]) is None, f"read {end} of {len(whole)} bytes"
        assert not path.exists(), "not set aside"
    refused = 0
    places = range(0, len(whole), 10 if trial.short else 1)
    for at in places:
        other = bytes([(whole[at] + trial.draw.randrange(1, 256)) % 256])
        path.write_bytes(whole[:at] + other + whole[at + 1 :])
        found = store.read(record["key"])
        assert found in (None, record), f"byte {at} replaced by {other!r}: another record is read"
        refused += found is None
        path.unlink(missing_ok=True)
    log.disabled = False
    aside = len(list((store.folder / "set_aside").iterdir()))
    assert aside == len(ends) + refused
    return (
        f"{len(ends)} truncated: none is read; {len(places)} with a byte replaced: none is read "
        f"but {len(places) - refused} that mean the same (spaces); all are kept"
    )


@fault("records of an older and of a newer schema")
def schemas(trial: Trial) -> str:
    trial.type(*SWEEP).fine()
    paths = sorted((trial.folder / "results" / "records").glob("*.json"))
    for path, schema in zip(paths, (0, SCHEMA + 1), strict=False):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
        done = trial.type("table").fine()
        assert path.name in done.err and "schema" in done.err, done.err
        assert trial.type(*SWEEP).fine().trained == 1
    assert len(list((trial.folder / "results" / "records" / "set_aside").iterdir())) == 2
    shutil.rmtree(trial.folder / "results" / "records" / "set_aside")
    trial.same_as_undisturbed(SWEEP, "results")
    return "left out of tables with a warning, set aside and trained again by the next sweep"


@fault("YAML that is not YAML, or not a config")
def yaml(trial: Trial) -> str:
    wrong = ["a: [", "{", "\t- a", "- 1\n- 2", "just text", "a: b: c", "\x00\x01", "&a *a", "!!x y"]
    folder = trial.folder / "mine" / "experiment"
    folder.mkdir(parents=True)
    for text in wrong:
        (folder / "odd.yaml").write_text(text)
        trial.type("run", "--config-dir", "mine", *ONE, "experiment=odd").refused()
    (folder / "odd.yaml").write_bytes(b"\xff\xfe\x00a: 1")
    trial.type("run", "--config-dir", "mine", *ONE, "experiment=odd").refused()
    assert not (trial.folder / "results").exists()
    return f"{len(wrong) + 1} files: refused"


@fault("overrides of every wrong type, by hypothesis")
def overrides(trial: Trial) -> str:
    test = Path(__file__).parents[2] / "tests" / "test_job.py"
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        raise NotHere("hypothesis is not installed") from None
    count = 20 * trial.kills
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "", "-k", "any_value",
         "-p", "no:cacheprovider", test,
         f"--hypothesis-seed={trial.draw.randrange(2**32)}"],
        capture_output=True, text=True, env=os.environ | {"NORMBENCH_EXAMPLES": str(count)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return f"{count} overrides: a line that names the setting, or taken as meant"


@fault("names with ../, spaces, quotes and emoji")
def names(trial: Trial) -> str:
    norms = ["../../up", "two words", "it's", "a/b", "🦙", "..", "x" * 100]
    results = "out/a folder's 🦙"
    for norm in norms:
        quoted = norm.replace("'", "\\'")
        trial.type("run", *ONE, f"norm.name='{quoted}'", f'results.dir="{results}"').fine()
    for setting in ("data.name", "probe.name"):
        command = "probe" if setting.startswith("probe") else "run"
        trial.type(command, *ONE, f"{setting}='../../up'").refused(setting)
    top = {path.name for path in trial.folder.iterdir()} - {"cache", "home"}
    assert top == {"out"}, top
    assert {path.name for path in (trial.folder / "out").iterdir()} == {"a folder's 🦙"}
    (table,) = (trial.folder / results / "tables").iterdir()
    assert all(f"## {norm}\n" in table.read_text() for norm in norms), table.read_text()
    return "accepted where a name is only shown, refused where it would name files"


class _Execute:
    """What runs a command when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@fault("a checkpoint, a cache and a record that want to be executed", short=True)
def executed(trial: Trial) -> str:
    mark = trial.folder / "executed"
    evil = pickle.dumps(_Execute(mark))
    wanted = trial.without_faults(SWEEP).holds
    folder = trial.folder / "results" / "checkpoints"
    folder.mkdir(parents=True)
    for name in wanted:
        if name.startswith("records/"):
            digest = hashlib.sha256(evil).digest()
            (folder / Path(name).with_suffix(".pt").name).write_bytes(digest + evil)
    probe = trial.folder / "results" / "probes" / "evil"
    probe.mkdir(parents=True)
    record = next(content for name, content in wanted.items() if name.startswith("records/"))
    of_mine = {"name": "evil", "_target_": "evil.Evil"}
    record = record | {"config": record["config"] | {"probe": of_mine}, "measured": {}}
    (probe / f"{record['key']}.json").write_text(json.dumps(record))
    (trial.folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')")
    done = trial.type("figures")
    assert "Traceback" not in done.err, done.err
    shutil.rmtree(probe.parent)
    done = trial.type(*SWEEP).fine()
    assert "damaged" in done.err, done.err
    trial.same_as_undisturbed(SWEEP, "results")
    assert not mark.exists(), "it was executed"
    return "not executed; said to be damaged, and the runs start over"


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _flatten(folder: Path) -> None:
    for path in sorted(folder.glob("*/*")):
        path.replace(folder / path.name)
    for path in list(folder.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)


def _silenced():
    import logging

    log = logging.getLogger("normbench.store.records")
    log.disabled = True
    return log
