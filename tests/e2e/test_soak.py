"""A dewy that has deployed much needs no more than one that has deployed little."""

from __future__ import annotations

from pathlib import Path

from publishing import Archive, Directory
from running import free_port, running
from soaking import command, soak
from trials import unpacked


def test_forty_deployments_leave_nothing_behind_in_memory_and_on_disk(
    registry: Directory, root: Path, tmp_path: Path, go_archive: Archive
) -> None:
    server = unpacked(go_archive("v1.0.0"), tmp_path)
    with running("server", *command(registry, root, free_port())) as process:
        warm, *_, last = soak(process, registry, root, server, 36, every=12)
    assert last.memory < warm.memory + 4096
    assert last.descriptors <= warm.descriptors
    assert last.threads <= warm.threads + 1, "one may be about to end"
    assert last.children == warm.children == 1
    assert last.files <= warm.files + 2
    assert last.disk < warm.disk + 256
