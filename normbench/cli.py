"""``normbench COMMAND [Hydra overrides]``: commands, each a Hydra application, and exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from normbench import __version__

COMMANDS = {
    "run": "train every run of the grid that has no record yet, print the table",
    "status": "say what runs and where, what failed, what is missing, how long it takes",
    "table": "write the markdown tables anew, from the records alone",
    "compare": "set the records beside the article's numbers",
    "claims": "judge the articles' claims from records and probes",
    "calibration": "score candidate protocols against the article's cells",
    "probe": "measure why a norm works, and draw the figure",
    "figures": "draw every figure anew, from what is stored alone",
    "bench": "measure speed against the loop people write and fastai's Learner",
    "data": "fetch, check and prepare a dataset, say what is there",
}

USAGE = "\n".join(
    [
        "usage: normbench COMMAND [key=value ...]",
        "",
        *(f"  {name:<12} {purpose}" for name, purpose in COMMANDS.items()),
        "",
        "normbench COMMAND --help lists the settings; normbench --version",
        'eval "$(normbench -sc install=bash)" completes commands and settings (zsh, fish too)',
    ]
)


def main() -> NoReturn:
    """Entry point. Exit codes: 0 done, 1 a run failed, 2 wrong input, 130 interrupted."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        sys.exit(0)
    if arguments[0] == "--version":
        print(f"normbench {__version__}")
        sys.exit(0)
    if arguments[0] in ("-sc", "--shell-completion"):
        _complete()
        sys.exit(0)
    command = arguments[0]
    if command not in COMMANDS:
        from normbench.explain import nearest

        _wrong(f"unknown command {command!r}{nearest(command, COMMANDS)}")
    # argparse, which Hydra reads flags with, wants settings in one piece: flags may stand anywhere
    typed = sorted(arguments[1:], key=_is_setting)
    sys.argv = [f"normbench {command}", *typed]
    argparse.ArgumentParser.error = _refuse  # Hydra's, of flags; its own way takes ten lines
    _run(command)
    sys.exit(0)


def _is_setting(word: str) -> bool:
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


def _run(command: str) -> None:
    """Run a command as a Hydra application and turn what goes wrong into a line and a code."""
    from normbench.errors import RunFailed, UserError
    from normbench.explain import explain

    # A user's own layer is found beside where the command is typed, as with `python -m`.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    show_everything = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands exceptions on instead of printing them
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _hydra_application(command)()
    except KeyboardInterrupt:
        print(
            "\ninterrupted: finished runs are kept; the same command goes on from there",
            file=sys.stderr,
        )
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except RunFailed as error:
        if show_everything:
            raise
        print(error, file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if show_everything:
            raise
        line = str(error) if isinstance(error, UserError) else explain(error)
        if line is None:
            raise
        _wrong(line)


def _hydra_application(command: str) -> Callable[[], Any]:
    import hydra

    from normbench.config import register_schema

    register_schema()
    errors: list[Exception] = []
    folder = os.getcwd()

    def task(cfg: Any) -> Any:
        # A launcher may have brought this to another process, even another machine.
        os.chdir(folder)
        if folder not in sys.path:  # a user's own layer is found beside where the command is typed
            sys.path.append(folder)
        register_schema()
        # Hydra prints lines of its own about a task that raises, so errors are returned. A sweep
        # finds them among its jobs' results, wherever those ran.
        try:
            return importlib.import_module(f"normbench.commands.{command}").main(cfg)
        except Exception as error:
            errors.append(error)
            return error

    application = hydra.main(
        version_base="1.3", config_path="pkg://normbench.configs", config_name=command
    )(task)

    def run() -> None:
        application()
        if errors:
            raise errors[0]

    return run


def _wrong(line: str) -> NoReturn:
    print(f"normbench: {line}", file=sys.stderr)
    sys.exit(2)


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    _wrong(f"{message}; {parser.prog} --help lists settings and flags")


def _complete() -> None:
    """Shell completion: the first word is a command, the rest is for that command's settings."""
    words = os.environ.get("COMP_LINE", "").split(" ")
    command = words[1] if len(words) > 2 else None
    if "COMP_LINE" in os.environ and command not in COMMANDS:
        print(" ".join(name for name in COMMANDS if name.startswith(words[1:2] and words[1] or "")))
        return
    if command:
        del words[1]
        os.environ["COMP_LINE"] = " ".join(words)
    _hydra_application(command or "run")()
