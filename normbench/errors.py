"""The two ways in which a command fails, each told apart by its exit code."""


class UserError(Exception):
    """The user's input is wrong: one line that names the culprit and a remedy. Exit code 2."""


class RunFailed(Exception):
    """At least one run failed while it trained. Exit code 1."""
