"""normbench claims: the articles' claims, judged from stored records."""

from made_up import runs, store


def test_it_writes_what_it_prints_and_the_same_bytes_each_time(normbench_command):
    results = normbench_command.folder / "results"
    store(results, runs("none", accuracy=0.59) + runs("batchnorm", accuracy=0.47))
    code, out, err = normbench_command("claims")
    assert code == 0, err
    written = (results / "claims.md").read_bytes()
    assert out.startswith(written.decode()) and "contradicted" in out
    (results / "claims.md").unlink()
    assert normbench_command("claims")[0] == 0
    assert (results / "claims.md").read_bytes() == written
