"""Code from outside the project: known by its source while its author is at work on it."""

import sys

import pytest

from normbench.outside import changed_parts, code_digest, outside_parts


@pytest.fixture
def settings(tmp_path, monkeypatch):
    (tmp_path / "someones.py").write_text("class Layer: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("someones")
    yield {
        "norm": {"layer": {"_target_": "someones.Layer"}, "weight": None},
        "model": {"_target_": "normbench.models.cnn4.CNN4"},
        "optimizer": {"_target_": "torch.optim.SGD"},
        "callbacks": [{"_target_": "someones.Layer"}],
    }
    del sys.modules["someones"]


def test_only_what_is_neither_ours_nor_installed_has_a_digest(settings):
    assert list(outside_parts(settings)) == ["someones.Layer"]


def test_the_digest_is_that_of_the_file(settings, tmp_path):
    before = outside_parts(settings), code_digest(outside_parts(settings))
    assert (outside_parts(settings), code_digest(outside_parts(settings))) == before
    (tmp_path / "someones.py").write_text("class Layer: pass  # otherwise\n")
    assert (
        outside_parts(settings) != before[0] and code_digest(outside_parts(settings)) != before[1]
    )


def test_what_was_not_known_of_a_record_has_not_changed():
    now = {"a.B": "1", "c.D": "2"}
    assert changed_parts({"a.B": "1", "c.D": "3"}, now) == ["c.D"]
    for then in ({}, None, {"a.B": None}, now):
        assert changed_parts(then, now) == []
