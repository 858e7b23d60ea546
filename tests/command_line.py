"""Running normbench as a user does: in a process and a folder of its own."""

import os
import signal
import subprocess
import sys

# A grid that trains in seconds: few images, one epoch.
TINY = [
    "data=synthetic",
    "data.source.train_size=120",
    "data.source.val_size=60",
    "data.image_size=16",
    "model.widths=[8,16]",
    "train.epochs=1",
    "engine.threads=1",
]


class CommandLine:
    """normbench, typed in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("NORMBENCH_")
        } | {"NORMBENCH_CACHE": str(folder.parent / "cache"), "HOME": str(folder.parent / "home")}

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

    def __call__(self, *arguments, **changes):
        """(exit code, standard output, standard error)"""
        process = self.start(*arguments, **changes)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    @property
    def records(self):
        return sorted((self.folder / "results" / "records").glob("*.json"))
