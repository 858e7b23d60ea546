"""``normbench COMMAND [Hydra overrides]``: commands, each a Hydra application, and exit codes."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from normbench import commands, interruption
from normbench.version import __version__


def main() -> NoReturn:
    """Entry point. Exit codes: 0 done, 1 a run failed, 2 wrong input, 130 interrupted."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        try:
            print(_usage(), flush=True)
        except BrokenPipeError:
            _nobody_reads()
        sys.exit(0)
    if arguments[0] == "--version":
        print(f"normbench {__version__}")
        sys.exit(0)
    if arguments[0] in ("-sc", "--shell-completion"):
        _complete()
        sys.exit(0)
    command = arguments[0]
    if command not in commands.COMMANDS:
        from normbench.explain import nearest

        _wrong(f"unknown command {command!r}{nearest(command, commands.COMMANDS)}")
    words = arguments[1:]
    dry_run = DRY_RUN in words and hasattr(commands.load(command), "prepare")
    if dry_run:
        words = [word for word in words if word != DRY_RUN]
    # argparse, which Hydra reads flags with, wants settings in one piece: flags may stand anywhere
    typed = sorted(_settings(command, words), key=_is_setting)
    sys.argv = [f"normbench {command}", *typed]
    # Hydra's, of flags; its own way takes ten lines
    setattr(argparse.ArgumentParser, "error", _refuse)  # noqa: B010 (types forbid assigning it)
    _run(command, dry_run)
    sys.exit(0)


def _usage() -> str:
    purposes = {name: _purpose(commands.load(name)) for name in commands.COMMANDS}
    return "\n".join(
        [
            "usage: normbench COMMAND [key=value ...]",
            "",
            *(f"  {name:<12} {purpose}" for name, purpose in purposes.items()),
            "",
            "normbench COMMAND --help lists the settings; normbench --version",
            'eval "$(normbench -sc install=bash)" completes commands and settings (zsh, fish too)',
        ]
    )


def _purpose(module: ModuleType) -> str:
    """The first line of a command's docstring, as it stands in a list."""
    first = (module.__doc__ or "").partition("\n")[0].removesuffix(".")
    return first[0].lower() + first[1:]


def _is_setting(word: str) -> bool:
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


DRY_RUN = "--dry-run"  # the one flag that is not Hydra's
VALUED = re.compile(r"--(config-(dir|name|path)|package|info|cfg)|-(cd|cn|cp|p|i|c)")


def _settings(command: str, words: list[str]) -> list[str]:
    """What was typed, with bare words as the setting that the command has for one, or for many."""
    module = commands.load(command)
    flags = getattr(module, "FLAGS", {})
    words = [flags.get(word, word) for word in words]
    words = [_as_list(word, getattr(module, "LISTS", {})) for word in words]
    if many := getattr(module, "WORDS", None):
        from normbench.typed import text

        bare = [
            word
            for before, word in zip(["", *words], words, strict=False)
            if not (_is_setting(word) or word.startswith("-") or VALUED.fullmatch(before))
        ]
        rest = [word for word in words if word not in bare]
        return [*rest, f"{many}={text(bare)}"] if bare else rest
    setting = getattr(module, "WORD", None)
    if setting is None:
        return words
    bare = [word for word in words if re.fullmatch(r"[\w*?][\w*?/.-]*", word)]
    if len(bare) > 1:
        _wrong(f"normbench {command} takes one name, not {len(bare)}: {' '.join(bare)}")
    return [f"{setting}={word}" if word in bare else word for word in words]


def _as_list(word: str, lists: Mapping[str, str]) -> str:
    """``norm=a,b`` as the list that the command has it for, under the name that it has there."""
    name, typed, value = word.partition("=")
    if name not in lists or not typed:
        return word
    return f"{lists[name]}={value if value.startswith('[') or value == 'null' else f'[{value}]'}"


def _run(command: str, dry_run: bool) -> None:
    """Run a command as a Hydra application and turn what goes wrong into a line and a code."""
    from normbench.errors import RunFailed, UserError
    from normbench.explain import explain

    # A user's own layer is found where the command is typed, first of all, as with `python -m`.
    sys.path.insert(0, os.getcwd())
    show_everything = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands exceptions on instead of printing them
    interruption.install()
    try:
        _hydra_application(command, dry_run)()
    except KeyboardInterrupt:
        interruption.leave()
    except BrokenPipeError:
        _nobody_reads()
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


def _nobody_reads() -> NoReturn:
    """End quietly: whoever read the output, such as `head`, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _hydra_application(command: str, dry_run: bool = False) -> Callable[[], Any]:
    import hydra

    from normbench.places import config_folder

    module = register(command)
    trains = hasattr(module, "prepare")
    if trains:
        from normbench.runs import sweep

        sweep.register(module, _described if dry_run else None)
    errors: list[Exception] = []
    folder = os.getcwd()

    def task(cfg: Any) -> Any:
        # A launcher may have brought this to another process, even another machine.
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        module = register(command)
        if trains:
            from normbench.runs.sweep import execute_alone
        # Hydra prints lines of its own about a task that raises, so errors are returned. A sweep
        # finds them among its jobs' results, wherever those ran.
        try:
            return execute_alone(module, cfg) if trains else module.main(cfg)
        except Exception as error:
            errors.append(error)
            return error

    application = hydra.main(
        version_base="1.3", config_path=str(config_folder()), config_name=command
    )(task)

    def run() -> None:
        application()
        if errors:
            raise errors[0]

    return run


def _described(jobs: Any, datasets: Any) -> str:
    from normbench.report.plan import describe

    return describe(jobs, datasets)


def register(command: str) -> ModuleType:
    """Make a command's schema and help known to Hydra, which configs name in their defaults lists,
    and the choices that no file stands for.

    Returns:
        Its module.
    """
    from hydra.core.config_store import ConfigStore

    from normbench import choices
    from normbench.config import register_resolvers

    module = commands.load(command)
    register_resolvers()
    choices.register()
    store = ConfigStore.instance()
    store.store(name="schema", node=module.Config)
    help_ = {"app_name": f"normbench {command}", "template": _help(command, module)}
    store.store(group="hydra/help", name="normbench", node=help_)
    return module


def _help(command: str, module: ModuleType) -> str:
    """Hydra's template: it fills in what begins with a dollar sign."""
    _, _, details = (module.__doc__ or "").partition("\n")
    examples = "".join(f"  {line}\n" for line in module.EXAMPLES.splitlines())
    text = f"normbench {command}: {_purpose(module)}\n\n{examples}\n"
    if details.strip():
        text += f"{details.strip()}\n\n"
    if any(field.name == "data" for field in dataclasses.fields(module.Config)):
        text += "== Choices (group=option) ==\n$APP_CONFIG_GROUPS\n"
    if hasattr(module, "prepare"):
        text += f"{DRY_RUN} says what would be trained, and trains and writes nothing.\n\n"
    return text + "== Settings (override with key=value) ==\n$CONFIG\n== Flags ==\n$FLAGS_HELP\n"


def _wrong(line: str) -> NoReturn:
    print(f"normbench: {line}", file=sys.stderr)
    sys.exit(2)


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    _wrong(f"{message}; {parser.prog} --help lists settings and flags")


def _complete() -> None:
    """Shell completion: the first word is a command, the rest is for that command's settings."""
    words = os.environ.get("COMP_LINE", "").split(" ")
    command = words[1] if len(words) > 2 else None
    if "COMP_LINE" in os.environ and command not in commands.COMMANDS:
        begun = words[1] if len(words) > 1 else ""
        print(" ".join(name for name in commands.COMMANDS if name.startswith(begun)))
        return
    if command:
        del words[1]
        os.environ["COMP_LINE"] = " ".join(words)
    from normbench.choices import LibraryModels

    LibraryModels.completed = words[-1]
    _hydra_application(command or "run")()
