"""Records of several people in one folder: checked, nothing written over."""

import json

import pytest
from made_up import probe_record, record, runs, stored

from normbench.store.keys import checksum
from normbench.store.probe_records import probe_store
from normbench.store.records import RecordStore


@pytest.fixture
def folders(normbench_command):
    """Of two people who share a run; one has a probe's record, too."""
    for who, norm in (("ada", "none"), ("max", "groupnorm")):
        stored(normbench_command.folder / who, [*runs(norm), record(norm="ws_bcn")])
    probes = probe_store(normbench_command.folder / "max", "gradients")
    probes.make_writable()
    probes.write(probe_record("gradients", {"norms": [1.0]}))
    return normbench_command.folder


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.json"))}


def test_all_records_are_there_as_they_were_and_the_same_again_changes_nothing(
    normbench_command, folders
):
    code, out, err = normbench_command("merge", "ada", "max", "results.dir=both")
    assert code == 0, err
    assert "ada: 4 records added to both, 0 were there already" in out
    assert "max: 4 records added to both, 1 were there already" in out
    both = content(folders / "both")
    assert both == content(folders / "ada") | content(folders / "max")
    assert (folders / "both/tables/imagenette_cnn4.md").is_file()
    code, out, _ = normbench_command("merge", "max", "ada", "results.dir=both")
    assert code == 0 and "0 records added to both, 5 were there" in out
    assert content(folders / "both") == both


def test_of_a_run_with_two_outcomes_the_one_that_is_here_is_kept_and_told(
    normbench_command, folders
):
    other = record(norm="ws_bcn", accuracy=0.7)
    files = RecordStore(folders / "max")
    files.path(other["key"]).unlink()
    files.write(other)
    before = content(folders / "ada")
    code, out, _ = normbench_command("merge", "max", "results.dir=ada")
    assert code == 0 and "1 contradicted by those here, which are kept" in out
    assert f"records/{other['key']}.json: accuracy 0.5000 here, 0.7000 there" in out
    assert before.items() <= content(folders / "ada").items()


def changed(record):
    record["epochs"][-1]["val_accuracy"] = 0.99


def older(record):
    record["schema"] = 1
    record["checksum"] = checksum(record)


def foreign(record):
    """A record that says it is of another run than it is."""
    record["config"]["train"]["epochs"] = 100
    record["checksum"] = checksum(record)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (changed, "its checksum is not that of what it holds"),
        (older, "scripts/migrate_records.py brings it over"),
        (foreign, "its settings are those of another run"),
    ],
)
def test_what_is_no_record_of_its_run_is_not_taken(normbench_command, folders, damage, why):
    path = next((folders / "max/records").glob("*.json"))
    of_run = json.loads(path.read_text())
    damage(of_run)
    path.write_text(json.dumps(of_run))
    code, out, _ = normbench_command("merge", "max", "results.dir=both")
    assert code == 0 and "1 not taken" in out and f"{path.name}: " in out and why in out
    assert not (folders / "both/records" / path.name).exists()
    assert len(content(folders / "both")) == 4


def test_a_run_that_is_being_trained_here_is_left_to_be_recorded(normbench_command, folders):
    key = record(norm="ws_bcn")["key"]
    ours = RecordStore(folders / "both")
    ours.make_writable()
    with ours.claim(key):
        _, out, _ = normbench_command("merge", "max", "results.dir=both")
    assert f"records/{key}.json: its run is being trained here" in out


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ([], "name the folders whose records to bring here"),
        (["nowhere"], "nowhere does not exist"),
        (["ada", "results.dir=./ada"], "ada is results.dir itself"),
        (["empty"], "empty holds no records"),
    ],
)
def test_folders_that_cannot_be_merged_are_told_in_a_line(normbench_command, folders, typed, line):
    (folders / "empty").mkdir()
    code, _, err = normbench_command("merge", *typed)
    assert code == 2 and line in err and err.count("\n") == 1


def test_names_of_folders_may_have_spaces_and_flags_stand_between_them(normbench_command, folders):
    (folders / "max").rename(folders / "max's, of (2026)")
    (folders / "configs").mkdir()
    code, out, err = normbench_command(
        "merge", "ada", "--config-dir", "configs", "max's, of (2026)", "results.dir=both"
    )
    assert code == 0, err
    assert "ada: 4 records" in out and "max's, of (2026): 4 records added" in out
