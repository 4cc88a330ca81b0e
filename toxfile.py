"""Gives tox one environment per distribution, named as its folder in packages/ or examples/: there is no list to keep."""

from __future__ import annotations

from pathlib import Path

from tox.config.sets import ConfigSet
from tox.plugin import impl

ROOT = Path(__file__).parent


@impl
def tox_add_core_config(core_conf: ConfigSet) -> None:
    """Adds them to what plain ``tox`` runs. Called by tox before it reads the list."""
    found = [
        path.parent.name for folder in ("packages", "examples") for path in sorted(ROOT.glob(f"{folder}/*/pyproject.toml"))
    ]
    core_conf["env_list"].envs.extend(found)
