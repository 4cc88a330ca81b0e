"""What this host is."""

from __future__ import annotations

import pytest

from dewy.host import detect_platform, host_name, platform_of


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "aarch64", "linux/arm64"),
        ("Darwin", "arm64", "darwin/arm64"),
        ("Darwin", "x86_64", "darwin/amd64"),
        ("Linux", "i686", "linux/386"),
        ("Linux", "armv7l", "linux/arm/v7"),
        ("Linux", "armv6l", "linux/arm/v6"),
        ("Linux", "armv5tel", "linux/arm/v5"),
        ("Linux", "armv8l", "linux/arm/v7"),
        ("Linux", "riscv64", "linux/riscv64"),
        ("Linux", "ppc64le", "linux/ppc64le"),
        ("Linux", "s390x", "linux/s390x"),
        ("Linux", "loongarch64", "linux/loong64"),
        ("Linux", "mips64", "linux/mips64le"),
        ("FreeBSD", "amd64", "freebsd/amd64"),
        ("Linux", "e2k", "linux/e2k"),
    ],
)
def test_the_systems_names_become_gos(system: str, machine: str, platform: str) -> None:
    assert str(platform_of(system, machine)) == platform


@pytest.mark.parametrize(("machine", "platform"), [("aarch64", "linux/arm/v7"), ("x86_64", "linux/386")])
def test_a_system_of_32_bits_on_a_kernel_of_64_is_one_of_32(machine: str, platform: str) -> None:
    assert str(platform_of("Linux", machine, wide=False)) == platform


def test_big_endian_mips_stays_so() -> None:
    assert str(platform_of("Linux", "mips", little=False)) == "linux/mips"


def test_this_host_has_a_platform_and_a_name() -> None:
    assert detect_platform().os in ("linux", "darwin")
    assert detect_platform().arch
    assert host_name() == host_name().lower() != ""
