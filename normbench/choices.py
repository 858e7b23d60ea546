"""Choices of a config group that no file stands for: models, `torchvision/NAME` and `timm/NAME`."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from normbench.errors import UserError
from normbench.zoo import LIBRARIES, model_config, model_names

GROUP = "model"


class LibraryModels(ConfigSource):
    """Answers Hydra for every model of a library: a name that there is not is told in a line.

    There are more than a thousand, so a list of choices has the libraries alone, unless the shell
    completes a name of one.

    Attributes:
        completed: what the shell is about to complete, if it is.
    """

    completed: ClassVar[str | None] = None

    @staticmethod
    def scheme() -> str:
        return "normbench-models"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path == GROUP

    def is_config(self, config_path: str) -> bool:
        return config_path.startswith(tuple(f"{GROUP}/{library}/" for library in LIBRARIES))

    def load_config(self, config_path: str) -> ConfigResult:
        config = model_config(config_path.removeprefix(f"{GROUP}/"))
        return ConfigResult(
            self.provider, self.full_path(), OmegaConf.create(config), {"package": None}
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path != GROUP or results_filter == ObjectType.GROUP:
            return []
        if self.completed is None:
            return [f"{library}/NAME" for library in LIBRARIES]
        for library in LIBRARIES:
            if self.completed.startswith(f"{GROUP}={library}/"):
                with suppress(UserError):  # it is not installed
                    return [f"{library}/{name}" for name in model_names(library)]
        return [f"{library}/" for library in LIBRARIES]


class LibraryModelsPath(SearchPathPlugin):
    """Has Hydra ask `LibraryModels`, after the files."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("normbench", f"{LibraryModels.scheme()}://")


def register() -> None:
    """Make them known to Hydra."""
    plugins = Plugins.instance()
    plugins.register(LibraryModels)
    plugins.register(LibraryModelsPath)
