"""Every classifier of torchvision and timm, by name: `torchvision/resnet50`, `timm/convnext_atto`.

Names are read from the libraries' files, as importing one takes seconds, and a list, a message or
the shell's completion should not.
"""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from normbench.errors import UserError

# what builds their models; it is imported when one is built
BUILDERS = {
    "torchvision": "normbench.models.libraries.torchvision_model",
    "timm": "normbench.models.libraries.timm_model",
}
LIBRARIES = tuple(BUILDERS)
REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


@cache
def model_names(library: str) -> tuple[str, ...]:
    """The names of a library's classifiers, without the library's own.

    Raises:
        UserError: for a library that is not installed.
    """
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise UserError(
            f'model={library}/… needs {library}, which is not installed: pip install "normbench'
            f'[{library}]"'
        )
    files = Path(spec.origin).parent.glob("models/*.py")
    names = (name for file in files for name in REGISTERED.findall(file.read_text("utf-8")))
    return tuple(sorted(names))


def in_libraries(arch: str) -> list[str]:
    """The whole names of a model that libraries have, and we have not."""
    found = []
    for library in LIBRARIES:
        with suppress(UserError):  # it is not installed
            found += [f"{library}/{arch}"] if arch in model_names(library) else []
    return found


def model_config(name: str) -> dict[str, Any] | None:
    """The config of a library's model; None for a name without a library.

    Args:
        name: LIBRARY/NAME.

    Raises:
        UserError: for a library or a model that there is not.
    """
    library, slash, arch = name.partition("/")
    if not slash:
        return None
    if library not in BUILDERS:
        raise UserError(f"model={name}: {library} is not known; choose {' or '.join(BUILDERS)}")
    if arch not in (known := model_names(library)):
        close = [f"{library}/{near}" for near in get_close_matches(arch, known)]
        question = f": did you mean {' or '.join(close)}?" if close else "."
        raise UserError(f"model={name} is not known{question} normbench models lists all")
    return {
        "name": name,
        "_target_": BUILDERS[library],
        "arch": arch,
        "image_size": "${oc.select:data.image_size,224}",  # for those that take one size only
    }
