"""Datasets as uint8 tensors: opened, decoded once, kept in files that are mapped into memory.

- source.py: what a raw dataset is, and how to write one
- imagenette.py, imagefolder.py, synthetic.py: raw datasets; folders.py: what those of files share
- prepare.py: images of any size and mode -> one uint8 tensor a split
- cache.py: a prepared split <-> its file
- dataset.py, load.py: a prepared dataset, and all of the above from a data config
- download.py: fetching
"""
