"""normbench claims: the articles' claims, judged from stored records."""

from made_up import probe_record, runs, stored

from normbench.store.probe_records import probe_store


def test_it_writes_what_it_prints_and_the_same_bytes_each_time(normbench_command):
    results = normbench_command.folder / "results"
    stored(results, runs("none", accuracy=0.59) + runs("batchnorm", accuracy=0.47))
    code, out, err = normbench_command("claims")
    assert code == 0, err
    written = (results / "claims.md").read_bytes()
    assert out.startswith(written.decode()) and "contradicted" in out
    (results / "claims.md").unlink()
    assert normbench_command("claims")[0] == 0
    assert (results / "claims.md").read_bytes() == written


def test_what_probes_measured_is_judged_without_records_of_runs(normbench_command):
    results = normbench_command.folder / "results"
    records = probe_store(results, "activations")
    records.make_writable()
    for norm, growth in (("none", 9), ("batchnorm", 3)):
        for seed, last in enumerate((0.9 * growth, growth)):
            records.write(probe_record("activations", {"std": [[1, last]]}, norm, seed))
    code, out, err = normbench_command("claims")
    assert code == 0, err
    (row,) = (
        line
        for line in out.splitlines()
        if "Activations of the last layer grow" in line and line.startswith("|")
    )
    assert [cell.strip() for cell in row.split("|")[3:6]] == ["supported", "–", "not measured"]
    assert "activations, batchnorm bs=128 lr=0.01: 2 of 3 runs" in out
    # those of another protocol are not looked at
    code, _, err = normbench_command("claims", "optimizer=sgd")
    assert code == 2 and "results.dir=results holds no records" in err
