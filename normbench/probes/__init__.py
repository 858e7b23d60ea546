"""Probes: measurements that are taken during training, to see why a norm works.

A probe is one file here and one in ``configs/probe``. Its class says what is measured, what may be
wrong with its settings and how a figure is drawn from what was stored. Files here import torch in
the methods that measure, so that figures can be drawn without.

- probe.py: what a probe is, and what a probe is that watches one run
- watching.py: how a run is watched without a trace in it, and what most probes need for that
- cost.py: seconds and memory of a computation
- timing.py: a network timed beside the same one with another norm
- known.py: which class a probe of a name is
"""

from normbench.probes.probe import Measurement, Probe, WatchingProbe

__all__ = ["Measurement", "Probe", "WatchingProbe"]
