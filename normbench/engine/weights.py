"""What a run has trained, kept as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch

from normbench.engine.training import Result, Training
from normbench.store.files import write_atomically


@dataclass(frozen=True)
class Weights:
    """Where a run's parameters and buffers are kept once it has ended.

    Attributes:
        path: of the file.
        about: what is kept beside them, as JSON in the file's metadata.
    """

    path: Path
    about: Mapping[str, Any]

    def keep(self, training: Training, result: Result) -> None:
        """Write the file, unless the run diverged.

        Raises:
            OSError: without a disk.
        """
        if result.status != "finished":
            return
        state = {name: value.contiguous() for name, value in training.model.state_dict().items()}
        metadata = {"normbench": json.dumps(self.about)}
        write_atomically(self.path, safetensors.torch.save(state, metadata))
