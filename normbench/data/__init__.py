"""Datasets as uint8 tensors: opened, decoded once, kept in files that are mapped into memory.

- source.py: what a raw dataset is, and how to write one
- imagenette.py, imagewoof.py, imagefolder.py, mnist.py, cifar.py, synthetic.py: raw datasets
- roots.py, folders.py, originals.py, arrays.py: what these share
- prepare.py: images of any size and mode -> one uint8 tensor a split
- cache.py: a prepared split <-> its file
- dataset.py, load.py: a prepared dataset, and all of the above from a data config
- limit.py, held_out.py: parts of one
- download.py: fetching
"""
