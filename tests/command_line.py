"""Running normbench as a user does, in a folder of its own: in this process, or in another one."""

import importlib
import io
import logging
import os
import signal
import subprocess
import sys
import traceback
from argparse import ArgumentParser
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from normbench.cli import main

# A grid that trains in seconds: few images, one epoch; in lanes that are processes.
TINY = [
    "device=cpu",
    "data=synthetic",
    "data.source.train_size=120",
    "data.source.val_size=60",
    "data.image_size=16",
    "model.widths=[8,16]",
    "train.epochs=1",
    "engine.threads=1",
]
ONE_RUN = ["grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0]"]


class CommandLine:
    """normbench, typed in a folder of its own.

    ``nb("run", ...)`` calls the entry point in this process, which is quick; ``nb.process`` and
    ``nb.start`` start an interpreter, as a shell does.
    """

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("NORMBENCH_")
        } | {"NORMBENCH_CACHE": str(folder.parent / "cache"), "HOME": str(folder.parent / "home")}

    def __call__(self, *arguments, **changes):
        """(exit code, standard output, standard error), typed in this process.

        changes: of environment variables.
        """
        out, err = io.StringIO(), io.StringIO()
        argv = ["normbench", *map(str, arguments)]
        with _set_back(self.folder), redirect_stdout(out), redirect_stderr(err):
            os.environ.clear()
            os.environ.update(self.environment | changes)
            os.chdir(self.folder)
            sys.argv = argv
            try:
                main()
            except SystemExit as end:
                code = end.code
            except BaseException:  # as an interpreter ends
                traceback.print_exc()
                code = 1
        return code, out.getvalue(), err.getvalue()

    def start(self, *arguments, **changes):
        """The running process, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "normbench", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # tests that run in the background inherit that Ctrl-C is ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def process(self, *arguments, **changes):
        """(exit code, standard output, standard error) of a process of its own."""
        process = self.start(*arguments, **changes)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    @property
    def records(self):
        return self.records_in("results")

    def records_in(self, results):
        return sorted((self.folder / results / "records").glob("*.json"))


@contextmanager
def _set_back(folder):
    """Whatever a command changes of this process, as if it had been in one of its own."""
    environment, modules = dict(os.environ), set(sys.modules)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    importlib.invalidate_caches()  # the folder's modules were written a moment ago
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", sys.argv)
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(ArgumentParser, "error", ArgumentParser.error)
        patch.chdir(folder)
        handled = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)
            os.environ.clear()
            os.environ.update(environment)
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)
            GlobalHydra.instance().clear()
            for name in set(sys.modules) - modules:
                file = getattr(sys.modules[name], "__file__", None)
                if file and folder in Path(file).parents:
                    del sys.modules[name]
