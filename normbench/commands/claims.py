"""Judge the articles' claims from the records, and from what probes and studies measured.

Settings are those of the runs to look at, as normbench run takes them; train.precision=auto
is the precision that most of them have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normbench.config import ArticleConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = """\
normbench claims
normbench claims results.dir=results
"""


def main(cfg: DictConfig) -> None:
    from normbench.article_grid import resolve
    from normbench.report.claims import markdown
    from normbench.report.studies import studied
    from normbench.store.files import write_atomically

    article = resolve(cfg)
    results, probes = article.find(), article.probes()
    if not any(found.records for found in (results, *probes.values())):
        raise article.nothing_found()
    text = markdown(results, probes, studied(article.results))
    path = article.results / "claims.md"
    write_atomically(path, text)
    print(text)
    print("Written:", path)
