"""Images are decoded once, exactly as one would by hand, into a file that can be trusted."""

import logging
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from normbench.data import cache
from normbench.data.load import load_dataset
from normbench.data.prepare import fit_image
from normbench.errors import UserError

FORK = multiprocessing.get_context("fork")  # quick; nothing here minds


@pytest.fixture
def settings(config, folder):
    return config("imagefolder", root=str(folder), image_size=8)


def cached(settings) -> dict[str, Path]:
    """What the cache folder holds besides its lock: name -> path."""
    return {p.name: p for p in Path(settings["cache"]).iterdir()}


def decoded(settings) -> int:
    """How many images had to be decoded to open the dataset."""
    calls = []
    load_dataset(settings, lambda done, total, what: calls.append(what))
    return len(calls)


def in_another_process(function, *arguments) -> multiprocessing.Process:
    process = FORK.Process(target=function, args=arguments)
    process.start()
    return process


# --- pixels -------------------------------------------------------------------------------------


def test_crop_keeps_the_centre_of_the_image(settings, folder):
    data = load_dataset(settings | {"fit": "crop"})
    with Image.open(folder / "train/cat/a.jpg") as image:  # 20 x 12
        resized = image.convert("RGB").resize((13, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(data.train.images[0], np.asarray(resized)[:, 2:10])


def test_squish_keeps_the_whole_image(settings, folder):
    data = load_dataset(settings | {"fit": "squish"})
    with Image.open(folder / "train/cat/a.jpg") as image:
        resized = image.convert("RGB").resize((8, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(data.train.images[0], np.asarray(resized))


@pytest.mark.parametrize("size", [1, 7, 16, 33])
@pytest.mark.parametrize("shape", [(20, 12), (12, 20), (16, 16), (17, 33), (5, 3), (1, 9)])
def test_crop_is_torchvisions(photo, shape, size):
    image = photo(1, *shape)
    expected = Compose([Resize(size), CenterCrop(size)])(image)
    assert np.array_equal(fit_image(image, size, "crop"), np.asarray(expected))


def test_progress_counts_every_image(settings):
    calls = []
    load_dataset(settings, lambda *call: calls.append(call))
    train = [(i, 4, "preparing imagefolder train") for i in (1, 2, 3, 4)]
    assert calls == train + [(i, 2, "preparing imagefolder val") for i in (1, 2)]


def test_the_raw_data_may_be_read_only(settings, folder):
    before = sorted(folder.rglob("*"))
    load_dataset(settings)
    assert sorted(folder.rglob("*")) == before


# --- the cache ----------------------------------------------------------------------------------


def test_a_dataset_is_prepared_once(settings):
    first = load_dataset(settings)
    assert decoded(settings) == 0
    again = load_dataset(settings)
    assert again.digest == first.digest
    assert torch.equal(again.train.images, first.train.images)
    assert torch.equal(again.val.labels, first.val.labels)


@pytest.mark.parametrize("change", [{"image_size": 9}, {"fit": "squish"}])
def test_other_settings_of_the_pixels_have_files_of_their_own(settings, change):
    first = load_dataset(settings)
    assert decoded(settings | change) == 6
    assert load_dataset(settings | change).digest != first.digest
    assert load_dataset(settings).digest == first.digest


def test_scaling_needs_no_new_preparation(settings):
    load_dataset(settings)
    assert decoded(settings | {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}) == 0


def test_without_a_cache_setting_files_are_kept_in_the_home(settings, home):
    load_dataset(settings | {"cache": None})
    assert len(list(home.rglob("imagefolder-8px-crop-*.safetensors"))) == 2


def test_files_may_be_read_by_others_who_may_read_the_folder(settings):
    load_dataset(settings)
    folder = Path(settings["cache"]).stat().st_mode
    assert all(path.stat().st_mode & 0o044 == folder & 0o044 for path in cached(settings).values())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_tensors_are_mapped_from_the_file(settings):
    data = load_dataset(settings)
    maps = Path("/proc/self/maps").read_text().splitlines()
    mapped = [line.split()[0].split("-") for line in maps if settings["cache"] in line]
    for split in (data.train, data.val):
        address = split.images.data_ptr()
        assert any(int(low, 16) <= address < int(high, 16) for low, high in mapped)


def test_changing_a_tensor_changes_no_file(settings):
    data = load_dataset(settings)
    data.train.images.zero_()
    again = load_dataset(settings)
    assert decoded(settings) == 0
    assert again.digest == data.digest
    assert again.train.images.any()


@pytest.mark.parametrize("where", ["header", "pixels", "labels", "cut off", "empty"])
def test_a_damaged_file_is_prepared_again_with_a_notice(settings, caplog, where):
    good = load_dataset(settings)
    path = next(path for name, path in cached(settings).items() if "-train-" in name)
    content = bytearray(path.read_bytes())
    if where == "cut off":
        del content[-1:]
    elif where == "empty":
        content.clear()
    else:
        position = {"header": content.index(b"cat"), "pixels": -5, "labels": -4 * 8 * 8 * 3 - 8}
        content[position[where]] ^= 1
    path.unlink()  # so that what is mapped stays as it was
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        repaired = load_dataset(settings)
    assert [str(path) in message for message in caplog.messages] == [True]
    assert repaired.digest == good.digest
    assert torch.equal(repaired.train.images, good.train.images)
    assert decoded(settings) == 0


def prepare_and_pause(settings, about_to_finish):
    def pause(file):
        about_to_finish.set()
        signal.pause()

    cache.os.fsync = pause
    load_dataset(settings)


def test_a_killed_preparation_leaves_nothing_behind(settings):
    about_to_finish = FORK.Event()
    killed = in_another_process(prepare_and_pause, settings, about_to_finish)
    assert about_to_finish.wait(60)
    killed.kill()
    killed.join()
    assert set(cached(settings)) == {".normbench.tmp", ".normbench.lock"}
    assert decoded(settings) == 6
    assert len(cached(settings)) == 2
    assert all(name.endswith(".safetensors") for name in cached(settings))


def load_and_tell(settings, ready, answers):
    calls = []
    ready.set()
    data = load_dataset(settings, lambda *call: calls.append(call))
    answers.put((len(calls), data.digest))


def test_two_processes_at_once_prepare_once(settings):
    ready, answers, others = FORK.Event(), FORK.Queue(), []

    def start_another(done, total, what):
        if not others:
            others.append(in_another_process(load_and_tell, settings, ready, answers))
            assert ready.wait(60)

    here = load_dataset(settings, start_another)
    assert answers.get(timeout=60) == (0, here.digest)
    others[0].join()


def test_a_cache_folder_that_cannot_be_made_is_named(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file/cache"):
        load_dataset(settings | {"cache": str(tmp_path / "file" / "cache")})


def test_a_full_disk_is_a_clear_error_and_leaves_no_partial_file(settings):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, limits[1]))
    try:
        with pytest.raises(UserError, match="^cannot write .*data.cache") as error:
            load_dataset(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert cached(settings) == {}


def read_as_another_user(settings, answers):
    filled = load_dataset(settings)
    os.setuid(65534)
    answers.put(os.access(settings["cache"], os.W_OK))
    answers.put(load_dataset(settings).digest == filled.digest)
    try:
        load_dataset(settings | {"fit": "squish"})
    except UserError as error:
        answers.put(str(error))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become another user"
)
def test_a_filled_cache_may_be_read_only(settings, folder):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # unlike pytest's folders, open to others
        shutil.copytree(folder, f"{place}/pets")
        opened = settings | {"root": f"{place}/pets", "cache": f"{place}/cache"}
        answers = FORK.SimpleQueue()
        reader = in_another_process(read_as_another_user, opened, answers)
        reader.join()
        assert reader.exitcode == 0
        writable, same, refusal = (answers.get() for _ in range(3))
    assert same and not writable
    assert refusal.startswith("cannot write to the cache folder")


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"image_size": 0}, "data.image_size=0"),
        ({"image_size": -3}, "data.image_size=-3"),
        ({"image_size": 2.5}, "data.image_size=2.5"),
        ({"image_size": 10**9}, "smaller data.image_size"),
        ({"fit": "stretch"}, "data.fit=stretch .* crop or squish"),
        ({"std": [1.0, 0.0, 1.0]}, "data.std"),
        ({"std": [1.0, -1.0, 1.0]}, "data.std"),
        ({"std": [1.0, 1.0]}, "data.std"),
        ({"std": [1.0, float("nan"), 1.0]}, "data.std"),
        ({"mean": [0.0]}, "data.mean"),
        ({"mean": [0.0, float("inf"), 0.0]}, "data.mean"),
        ({"name": "../elsewhere"}, "data.name"),
        ({"source": {"_partial_": True}}, "_target_"),
        ({"source": {"_target_": "no.such.thing", "_partial_": True}}, "no.such.thing"),
        ({"source": {"_target_": "builtins.int", "_partial_": True}}, "data.source"),
    ],
)
def test_wrong_settings_are_named(settings, change, culprit):
    with pytest.raises(UserError, match=culprit) as error:
        load_dataset(settings | change)
    assert "\n" not in str(error.value)


def test_a_source_is_told_which_of_its_settings_is_unknown(settings):
    settings["source"]["colour"] = "red"
    with pytest.raises(UserError, match="colour"):
        load_dataset(settings)


def test_a_missing_setting_is_named(settings):
    del settings["fit"]
    with pytest.raises(UserError, match="data.fit is missing"):
        load_dataset(settings)
