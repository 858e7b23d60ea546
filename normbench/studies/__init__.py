"""Studies: experiments of the source texts, each a file in ``configs/study``.

- study.py: what a study is, and the commands that it consists of
- found.py: what was measured of it
"""

from normbench.studies.study import Part, Study, load_study, study_names

__all__ = ["Part", "Study", "load_study", "study_names"]
