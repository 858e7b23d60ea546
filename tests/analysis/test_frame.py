"""Records as a table."""

import pytest
from made_up import record_of
from small_runs import NAMES

import normbench
from normbench.errors import UserError
from normbench.grid import Run


def test_load_records_gives_one_row_a_run(store):
    one, other = (record_of(Run(NAMES, 8, 0.01, seed)) for seed in range(2))
    store.write(one)
    store.write(other | {"status": "diverged", "epochs": []})
    frame = normbench.load_records(store.results).sort_values("seed")
    assert list(frame["seed"]) == [0, 1]
    assert frame["accuracy"].tolist()[0] == 0.5
    assert frame["accuracy"].isna().tolist() == [False, True]
    assert frame["status"].tolist() == ["finished", "diverged"]
    assert set(frame["key"]) == {one["key"], other["key"]}


def test_columns_are_the_same_whatever_there_is(store):
    nothing = normbench.load_records(store.results)
    store.write(record_of(Run(NAMES, 8, 0.01, 0), norm_layers={"found": 4, "others": 1}))
    store.write(record_of(Run(NAMES, 8, 0.01, 1), norm_layers=None))  # of an older version
    frame = normbench.load_records(store.results).sort_values("seed")
    assert list(nothing.columns) == list(frame.columns) and len(nothing) == 0
    assert nothing.dtypes.equals(frame.dtypes)
    assert frame["norm_layers"].tolist()[0] == 4 and frame["other_norm_layers"].tolist()[0] == 1
    assert frame["norm_layers"].isna().tolist() == [False, True]
    assert nothing.groupby("norm")["accuracy"].mean().empty


def test_a_folder_that_is_not_there_is_named(store):
    with pytest.raises(UserError, match="does not exist"):
        normbench.load_records(store.results / "nowhere")
