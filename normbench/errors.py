"""The two ways in which a command fails, each told apart by its exit code."""

from typing import Any


class _InALine(Exception):
    """What is said stands for itself."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UserError(_InALine):
    """The user's input is wrong: one line that names the culprit and a remedy. Exit code 2."""


class RunFailed(_InALine):
    """At least one run failed while it trained. Exit code 1.

    Attributes:
        answer: from Python, what became of the other runs.
    """

    def __init__(self, failed: str, answer: Any = None):
        super().__init__(failed)
        self.answer = answer
