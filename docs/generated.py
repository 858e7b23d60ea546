"""A Sphinx extension: pages of the reference from commands, configs and claims, at every build."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from normbench import commands
from normbench.claims import CLAIMS
from normbench.places import config_folder

HERE = Path(__file__).parent / "reference"
OTHERS = "command", "jobs"  # configs that are no command's, but part of several
GROUPS = {
    "norm": "Normalization choices: `norm=NAME`.",
    "model": "Networks of the project's own: `model=NAME`. `normbench models` lists all others.",
    "data": "Datasets: `data=NAME`.",
    "optimizer": "`optimizer=NAME`, or `optimizer._target_=torch.optim.NAdam`.",
    "schedule": "`schedule=NAME`.",
    "grid": "Batch sizes, learning rates and seeds: `grid=NAME`, or each by itself.",
    "probe": "Measurements: `normbench probe probe=NAME`.",
    "experiment": "Named sets of settings: `experiment=NAME`.",
    "study": "Experiments of the source texts: `normbench study NAME`.",
    "launcher": "Where a sweep's jobs run: `normbench run -m launcher=NAME`.",
    "tracker": "What runs are told to besides their records: `tracker=NAME`.",
    "candidate": "Candidates for the article's protocol: `experiment=calibrate candidate=NAME`.",
}


def command_pages() -> str:
    """Every command: its docstring, its examples and its settings, as its config has them."""
    parts = ["# Commands", "`normbench COMMAND [key=value ...]`; every command has `--help`."]
    for name in commands.COMMANDS:
        module = commands.load(name)
        parts.append(f"## normbench {name}")
        parts.append((module.__doc__ or "").strip())
        parts.append(f"```bash\n{module.EXAMPLES.strip()}\n```")
        parts.append(f"Its config:\n\n{_file(config_folder() / f'{name}.yaml')}")
    parts.append("## What commands share")
    parts += [_file(config_folder() / f"{name}.yaml") for name in OTHERS]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Every config group, and the files of its options."""
    parts = ["# Settings", "A folder of `configs/` is a group, a file in it a choice."]
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir())
    known = [*GROUPS]
    for folder in sorted(folders, key=lambda f: known.index(f.name) if f.name in known else 99):
        options = sorted(folder.rglob("*.yaml"))
        if not options:
            continue
        parts.append(f"## {folder.name}")
        parts += [GROUPS[folder.name]] if folder.name in GROUPS else []
        for option in options:
            name = option.relative_to(folder).with_suffix("").as_posix()
            parts.append(f"### {folder.name}={name}\n\n{_file(option)}")
    parts.append(f"## The default protocol\n\n{_file(config_folder() / 'protocol.yaml')}")
    return "\n\n".join(parts) + "\n"


def claims_page() -> str:
    """Every claim: what it says, and what decides it."""
    parts = [
        "# Claims",
        "What `normbench claims` judges: sentences of the source texts, each with what is "
        "measured and the rule that decides. Verdicts are in `results/claims.md` of the "
        "repository, and of your own results folder after `normbench claims`.",
    ]
    for number, claim in enumerate(CLAIMS, start=1):
        parts.append(f"## {number}. {claim.title}")
        parts.append(claim.sentence)
        said = {"Source": claim.source, "Measured": claim.measured, "Supported if": claim.rule}
        parts.append("\n".join(f"- **{what}**: {text}" for what, text in said.items()))
    return "\n\n".join(_plain(part) for part in parts) + "\n"


def _file(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def _plain(text: str) -> str:
    """Underscores of names are no emphasis, dollars no formula."""
    return re.sub(r"(?<=\w)_(?=\w)", r"\\_", text).replace("$", r"\$")


def write(app: Sphinx) -> None:
    pages = {"commands": command_pages(), "settings": settings_page(), "claims": claims_page()}
    for name, text in pages.items():
        path = HERE / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
