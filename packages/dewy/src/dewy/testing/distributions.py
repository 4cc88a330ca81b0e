"""Distributions for tests, as ``pip`` would have left them: so that entry points are found for real."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_distribution"]


def write_distribution(
    directory: Path,
    name: str,
    version: str,
    *,
    entry_points: Mapping[str, str],
    modules: Mapping[str, str] | None = None,
    group: str = "dewy",
) -> Path:
    """Installs a distribution into a directory, which the caller puts on ``sys.path`` or into ``PYTHONPATH``.

    Args:
        directory: What plays the part of ``site-packages``.
        name: The distribution's name, ``dewy-registry-x`` say.
        version: Its version.
        entry_points: From each entry point's name to the module it leads to.
        modules: From file names relative to ``directory`` to their source, which is dedented.
        group: The entry points' group.

    Returns:
        The ``*.dist-info`` directory.
    """
    for file_name, source in (modules or {}).items():
        path = directory / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), "utf-8")
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    points = "".join(f"{point} = {target}\n" for point, target in entry_points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}", "utf-8")
    files = [*(modules or {}), *(f"{info.name}/{part}" for part in ("METADATA", "RECORD", "entry_points.txt"))]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), "utf-8")
    return info
