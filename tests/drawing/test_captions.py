"""Captions: how long was trained, over how many seeds, and what diverged."""

from made_up import probe_record, runs

from normbench.drawing.captions import averaged, how_many, mean_and_std, protocol_line


def probed(seeds=(0,), norm="batchnorm", **changes):
    return [probe_record("gradients", {}, norm, seed, **changes) for seed in seeds]


def test_a_run_of_which_the_first_steps_were_watched_is_not_called_whole():
    assert "one_cycle, 3 epochs)" in protocol_line(probed())
    assert "one_cycle, the first 73 steps of 3 epochs)" in protocol_line(probed(steps=73))
    assert "epoch" not in protocol_line(probed(steps=73), trained=False)
    (one, *_) = runs("none", protocol=("train.epochs=1",))
    assert "one_cycle, 1 epoch)" in protocol_line([one])


def test_a_few_values_are_listed_and_many_have_two_ends():
    rates = [record for lr in (0.1, 0.01) for record in probed(lr=lr)]
    assert "learning rate 0.01, 0.1 (" in protocol_line(rates)
    rates = [record for i in range(12) for record in probed(lr=2.0**i)]
    assert "learning rate 1 to 2048 (12 of them) (" in protocol_line(rates)


def test_runs_that_diverged_are_counted():
    records = probed((0, 1)) + probed((2,), status="diverged")
    assert protocol_line(records).endswith("seeds 0, 1, 2; 1 of 3 runs diverged")


def test_seeds_are_counted_norm_by_norm():
    assert how_many([]) == "no seed"
    assert how_many(probed() + probed(norm="none")) == "1 seed"
    assert how_many(probed((0, 1, 2)) + probed((3, 4, 5), "none")) == "3 seeds"
    assert how_many(probed((0, 1, 2)) + probed((0,), "none")) == "1 to 3 seeds"


def test_what_is_drawn_of_several_seeds_and_of_one():
    three = probed((0, 1, 2))
    assert averaged(three).startswith("Lines: means over 3 seeds; shaded: ")
    assert averaged(three, "geometric mean").startswith("Lines: geometric means over 3 seeds")
    assert mean_and_std(three) == "mean ± standard deviation over 3 seeds"
    assert averaged(probed()) == "One seed" and mean_and_std(probed()) == "one seed"
