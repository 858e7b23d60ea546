"""List the models that can be trained: our own, torchvision's classifiers, and timm's.

A pattern is a part of a name; with * for any letters, it is a whole name. timm is an extra:
pip install "normbench[timm]".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = """\
normbench models                    # all, one a line
normbench models resnet             # those with resnet in their names
normbench models 'timm/convnext*'
"""

WORD = "pattern"  # the setting that a word without = is for


@dataclass
class Config:
    pattern: str = "*"


def main(cfg: DictConfig) -> None:
    import sys
    from fnmatch import fnmatchcase

    from normbench.errors import UserError
    from normbench.places import config_names
    from normbench.zoo import LIBRARIES, model_names

    names = config_names("model")
    for library in LIBRARIES:
        try:
            names += [f"{library}/{name}" for name in model_names(library)]
        except UserError as error:
            print(f"normbench: {error}", file=sys.stderr)
    whole = any(letter in cfg.pattern for letter in "*?")
    pattern = cfg.pattern if whole else f"*{cfg.pattern}*"
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise UserError(f"no model has {cfg.pattern} in its name: normbench models lists all")
    print("\n".join(found))
