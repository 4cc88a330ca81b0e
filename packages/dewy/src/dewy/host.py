"""What dewy runs on: this host's platform and its name."""

from __future__ import annotations

import os
import platform
import sys

from dewy.types import Platform

__all__ = ["detect_platform", "host_name"]

_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "i86pc": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "ppc64le": "ppc64le",
    "ppc64": "ppc64",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
}
"""What ``uname -m`` says, in Go's names. What is not here stays as it is, but for ARM and MIPS."""

_ON_32_BITS = {"amd64": ("386", ""), "arm64": ("arm", "v7")}
"""What a 64-bit kernel runs where everything above it, this Python included, has 32 bits (as on many a Raspberry Pi)."""


def detect_platform() -> Platform:
    """This host's operating system and architecture, in Go's names."""
    system = os.uname()
    return platform_of(system.sysname, system.machine, wide=sys.maxsize > 2**32, little=sys.byteorder == "little")


def platform_of(system: str, machine: str, *, wide: bool = True, little: bool = True) -> Platform:
    """The platform by what ``uname`` says of the system and the machine.

    Args:
        system: ``Linux``, ``Darwin``, …
        machine: ``x86_64``, ``armv7l``, …
        wide: Whether programs here have 64 bits, which the kernel's name for the machine does not tell.
        little: Whether the byte order is little-endian, which it does not tell for MIPS.
    """
    machine = machine.lower()
    arch, variant = _ARCHITECTURES.get(machine, machine), ""
    if machine.startswith("armv"):
        arch, variant = "arm", "v6" if machine.startswith("armv6") else "v5" if machine.startswith("armv5") else "v7"
    elif machine in ("mips", "mips64") and little:
        arch = f"{machine}le"
    if not wide:
        arch, variant = _ON_32_BITS.get(arch, (arch, variant))
    return Platform(os=system.lower(), arch=arch, variant=variant)


def host_name() -> str:
    """This host's name, lower case, as audit entries and notifications have it."""
    return platform.node().lower() or "localhost"
