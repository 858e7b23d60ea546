"""What a benchmark runs: each contender is a module, started in a process of its own.

plain.py            the loop that people write
fastai_learner.py   fastai's Learner
lanes.py            normbench, as `normbench run` trains
ceilings.py         what the device can do at most, and what a step asks of it
convolutions.py     the network's convolutions alone, which nobody can beat
plain_grid.py       a whole grid by the loop that people write
own_grid.py         a whole grid by `normbench run`
images.py           images as files, which is what other trainers read
measure.py          starts a contender, watches its memory, reads its answer
"""
