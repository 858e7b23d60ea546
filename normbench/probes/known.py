"""Which class a probe is. Configs say so; what a stored record says is never imported."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class
from omegaconf import OmegaConf

from normbench.errors import UserError
from normbench.probes.probe import Probe


def probe_class(target: str) -> type[Probe]:
    """The class that a probe's config names."""
    return get_class(target)


def known_probe(name: str) -> type[Probe]:
    """The class of the probe whose config is named so, where Hydra looks for configs.

    Raises:
        UserError: if there is none.
    """
    for source in HydraConfig.get().runtime.config_sources:
        config = Path(source.path) / "probe" / f"{name}.yaml"
        if source.schema == "file" and config.is_file():
            return probe_class(OmegaConf.create(config.read_text()).probe._target_)
    raise UserError(
        f"no config says what the probe {name} is: put probe/{name}.yaml in a folder and name "
        "that with --config-dir=DIR"
    )
