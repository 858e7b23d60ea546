"""What a benchmark runs: each contender is a module, started in a process of its own.

plain.py            the loop that people write
fastai_learner.py   fastai's Learner
lanes.py            normbench, as `normbench run` trains
ceilings.py         what the device can do at most, and what a step asks of it
images.py           images as files, which is what other trainers read
measure.py          starts a contender, watches its memory, reads its answer
"""
