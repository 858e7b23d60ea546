"""A run as it stands after an epoch <-> a file, from which it goes on as if nothing had happened.

The file is a SHA-256 digest of the rest, and what ``torch.save`` makes of plain values and tensors,
which is read with ``weights_only``: nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from normbench.engine.state import restore_state, state_of
from normbench.engine.training import Result, Training
from normbench.store.files import write_atomically

FORM = 3  # of a file; goes up when a state is made of other parts
LONG = 60.0  # seconds; epochs that take longer are worth a checkpoint
DIGEST = 32  # bytes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Where a run's state is kept.

    Attributes:
        path: of the file.
        about: what must be the same for going on to give the same bits: the run, versions, threads.
        always: keep the state after every epoch, not only after long ones.
    """

    path: Path
    about: dict[str, Any]
    always: bool = False

    def save(self, training: Training, result: Result, seconds: float) -> None:
        """Keep the state after an epoch that took so many seconds; without a disk, go on."""
        if not self.always and seconds < LONG:
            return
        kept = {
            "form": _form(training),
            "about": self.about,
            "result": asdict(result),
            "state": state_of(training),
        }
        stream = io.BytesIO()
        torch.save(kept, stream)
        content = stream.getvalue()
        try:
            write_atomically(self.path, hashlib.sha256(content).digest() + content)
        except OSError as error:
            log.warning("no checkpoint at %s (%s)", self.path, error.strerror)

    def restore(self, training: Training, result: Result) -> None:
        """Bring a run that has not begun, and its result, to where they were, if that is kept."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("checkpoint %s cannot be read (%s)", self.path, error.strerror)
            return
        digest, content = content[:DIGEST], content[DIGEST:]
        try:
            if hashlib.sha256(content).digest() != digest:
                raise ValueError("its digest is wrong")
            kept = torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:  # whatever it holds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.warning("checkpoint %s is damaged (%s): its run starts over", self.path, reason)
            return
        if kept.get("form") != _form(training):
            log.warning("checkpoint %s is of another form: its run starts over", self.path)
            return
        if kept["about"] != self.about:
            log.warning("checkpoint %s is of other code or data: its run starts over", self.path)
            return
        restore_state(training, kept["state"])
        for field, value in kept["result"].items():
            setattr(result, field, value)


def _form(training: Training) -> list[Any]:
    """What a state is made of depends on what drives the run, too."""
    return [FORM, type(training).__name__]
