"""Write the page: one file that shows all that the results folder holds, in any browser, offline.

Settings but these are those of the runs that are set beside the article's, as normbench compare
takes them; whatever else the folder holds is shown, too.
"""

from __future__ import annotations

import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import ArticleConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = """\
normbench report                          # results.dir/report.html
normbench report --open                   # and show it
normbench report --watch                  # anew whenever a run is done, until Ctrl-C
normbench report results.dir=results
"""

FLAGS = {"--open": "open=true", "--watch": "watch=true"}


@dataclass
class Config(ArticleConfig):
    open: bool = False
    watch: bool = False
    every: float = 5


def main(cfg: DictConfig) -> None:
    from normbench.article_grid import resolve
    from normbench.errors import UserError
    from normbench.report.page.write import page
    from normbench.store.files import write_atomically

    article = resolve(cfg)
    if not 0 < cfg.every < float("inf"):
        raise UserError(f"every={cfg.every:g} is not valid: give seconds, more than 0")
    if not article.results.is_dir():
        raise UserError(
            f"results.dir={article.results} does not exist: train with normbench run, or name "
            "another folder with results.dir=DIR"
        )
    path = article.results / "report.html"
    seen = None
    while True:
        there = _there(article.results)
        if there != seen:
            write_atomically(path, page(article))
            print("Written:", path, flush=True)
            if cfg.open and seen is None:
                webbrowser.open(path.resolve().as_uri())
        if not cfg.watch:
            return
        seen = there
        time.sleep(cfg.every)


def _there(results: Path) -> list[tuple[str, int]]:
    """The records of a results folder and when each was written."""
    return sorted(
        (str(path), path.stat().st_mtime_ns)
        for pattern in ("records/*.json", "probes/*/*.json", "studies/*/**/*.json")
        for path in results.glob(pattern)
    )
