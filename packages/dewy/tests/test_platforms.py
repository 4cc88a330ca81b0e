"""Which file fits which platform (R27): real listings, the rule's parts, and what must hold for every listing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.platforms import best_fits
from dewy.types import Platform

DATA = Path(__file__).parent / "data"

MISSES: dict[tuple[str, str], str] = {}
"""Each (project, platform) of the data that is not answered as expected, with the reason. There is none at present."""


def platform(text: str) -> Platform:
    return Platform(*text.split("/"))


def fit(platform_text: str, *names: str) -> str | None:
    """The one file that is chosen; None when nothing fits or several do."""
    found = best_fits(names, platform(platform_text))
    return found[0] if len(found) == 1 else None


def cases(file: str) -> list[Any]:
    return [
        pytest.param(record, on, id=f"{record['project']}-{on}")
        for record in json.loads((DATA / file).read_text())
        for on in record["expect"]
    ]


# ----------------------------------------------------------------------------------------------------------- real listings


def check(record: dict[str, Any], on: str) -> None:
    expected = record["expect"][on]
    acceptable = expected if isinstance(expected, list) else [expected]
    right = fit(on, *record["assets"]) in acceptable
    assert right != ((record["project"], on) in MISSES), best_fits(record["assets"], platform(on))


@pytest.mark.parametrize(("record", "on"), cases("release-assets.json"))
def test_real_releases(record: dict[str, Any], on: str) -> None:
    check(record, on)


@pytest.mark.parametrize(("record", "on"), cases("more-release-assets.json"))
def test_further_naming_habits(record: dict[str, Any], on: str) -> None:
    check(record, on)


def test_at_most_three_of_a_hundred_are_missed() -> None:
    assert len(MISSES) <= 0.03 * len(cases("release-assets.json"))


# --------------------------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    "words", ["amd64", "x86_64", "x86-64", "x64", "X64", "64bit", "64-bit", "amd64v1", "amd64_v1", "em64t"]
)
def test_spellings_of_amd64(words: str) -> None:
    assert fit("linux/amd64", f"app-linux-{words}.tar.gz", "app-linux-arm64.tar.gz") == f"app-linux-{words}.tar.gz"


@pytest.mark.parametrize(
    "words", ["386", "i386", "i486", "i586", "i686", "x86", "x86_32", "32bit", "32-bit", "x32", "ia32", "32"]
)
def test_spellings_of_386(words: str) -> None:
    assert fit("linux/386", f"app-linux-{words}.tar.gz", "app-linux-amd64.tar.gz") == f"app-linux-{words}.tar.gz"
    assert fit("linux/amd64", f"app-linux-{words}.tar.gz") is None


@pytest.mark.parametrize("words", ["arm64", "aarch64", "aarch_64", "armv8", "arm64v8", "arm64-v8a", "ARM64", "arm-64bit"])
def test_spellings_of_arm64(words: str) -> None:
    assert fit("linux/arm64", f"app-linux-{words}.tar.gz", "app-linux-arm.tar.gz") == f"app-linux-{words}.tar.gz"
    assert fit("linux/arm/v7", f"app-linux-{words}.tar.gz") is None


@pytest.mark.parametrize(
    "words", ["armv7", "armv7l", "armv7a", "armv7hf", "armhf", "arm-7", "arm7", "arm_v7", "arm32v7", "arm32-v7a", "arm_hf"]
)
def test_spellings_of_arm_v7(words: str) -> None:
    names = (f"app-linux-{words}.tar.gz", "app-linux-armv6.tar.gz", "app-linux-arm64.tar.gz")
    assert fit("linux/arm/v7", *names) == names[0]
    assert fit("linux/arm/v6", *names) == names[1], "a v6 host cannot run v7 programs"
    assert fit("linux/arm64", *names[:2]) is None, "a 64-bit host is given no 32-bit program"


@pytest.mark.parametrize(
    ("on", "words"),
    [
        *(("linux/ppc64le", "ppc64le"), ("linux/ppc64le", "ppc64el"), ("linux/ppc64le", "powerpc64le")),
        *(
            ("linux/s390x", "s390x"),
            ("linux/riscv64", "riscv64"),
            ("linux/riscv64", "riscv64gc"),
            ("linux/riscv64", "risc-v64"),
        ),
        *(
            ("linux/loong64", "loong64"),
            ("linux/loong64", "loongarch64"),
            ("linux/mipsle", "mipsel"),
            ("linux/mips", "mips32"),
        ),
        *(("linux/mips64le", "mips64el"), ("linux/mips64le", "mips64le"), ("linux/mips64", "mips64")),
    ],
)
def test_spellings_of_rarer_architectures(on: str, words: str) -> None:
    assert fit(on, f"app-linux-{words}.tar.gz", "app-linux-amd64.tar.gz") == f"app-linux-{words}.tar.gz"


@pytest.mark.parametrize(
    "words", ["darwin", "macos", "macOS", "mac", "osx", "macosx", "mac-os", "apple-darwin", "darwin20", "macos-11"]
)
def test_spellings_of_macos(words: str) -> None:
    names = (f"app-{words}-arm64.zip", "app-linux-arm64.zip")
    assert fit("darwin/arm64", *names) == names[0]
    assert fit("linux/arm64", *names) == names[1]


@pytest.mark.parametrize(
    "words", ["linux", "Linux", "linux-gnu", "unknown-linux-musl", "ubuntu-22.04", "debian12", "manylinux_2_17", "el8"]
)
def test_spellings_of_linux(words: str) -> None:
    names = (f"app-x86_64-{words}.tar.xz", "app-x86_64-windows.zip", "app-x86_64-darwin.tar.xz")
    assert fit("linux/amd64", *names) == names[0]


@pytest.mark.parametrize(
    "name",
    [
        *("linuxamd64", "linux64", "Linux_64", "amd64linux", "linux-x64", "x64-linux", "linuxstatic-x64", "linux_amd64"),
        *("linux.amd64", "linux+amd64", "linux amd64", "linux(amd64)", "linux-gnu-x64", "linuxmusl-x64", "ubuntu2204-amd64"),
    ],
)
def test_words_are_found_however_they_are_joined(name: str) -> None:
    assert fit("linux/amd64", f"app-{name}.tar.gz", "app-linux-arm64.tar.gz") == f"app-{name}.tar.gz"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "app-windows-amd64.zip",
            "app-win64.zip",
            "app-amd64.exe",
            "app-x86_64-pc-windows-gnu.tar.gz",
            "app-x64-mingw64.zip",
        ),
        *(
            "app-freebsd-amd64.tar.gz",
            "app-openbsd-amd64",
            "app-netbsd64.tgz",
            "app-illumos-amd64.tar.gz",
            "app-solaris-amd64",
        ),
        *("app-x86_64-linux-android.tar.gz", "app-android-amd64.zip", "app-x86_64-apple-ios.zip", "app-wasm32-wasi.tar.gz"),
        *("app-alpine-amd64.tar.gz", "app-x86_64-unknown-redox.tar.gz", "app-plan9-amd64.tar.gz", "app-darwin-amd64.tar.gz"),
        *(
            "app-linux-amd64v3.tar.gz",
            "app-linux-x86_64-v2.tar.gz",
            "app-linux-uclibc-amd64.tar.gz",
            "app-amd64-sonoma.tar.gz",
        ),
        *(
            "app-linux-s390x.tar.gz",
            "app-linux-riscv64",
            "app-x86_64-unknown-linux-gnux32.tar.gz",
            "app-none-eabi-amd64.zip",
        ),
    ],
)
def test_a_file_that_states_another_platform_never_fits(name: str) -> None:
    assert best_fits([name], platform("linux/amd64")) == ()


@pytest.mark.parametrize(
    "ending",
    [
        *(
            ".sha256",
            ".sha512",
            ".md5",
            ".sha256sum",
            ".sig",
            ".asc",
            ".minisig",
            ".pem",
            ".crt",
            ".sbom",
            ".sbom.json",
            ".json",
        ),
        *(
            ".spdx.json",
            ".cdx.json",
            ".intoto.jsonl",
            ".provenance",
            ".sigstore",
            ".bundle",
            ".txt",
            ".md",
            ".dgst",
            ".zsync",
        ),
        *(
            ".deb",
            ".rpm",
            ".apk",
            ".pkg",
            ".dmg",
            ".msi",
            ".exe",
            ".AppImage",
            ".flatpak",
            ".snap",
            ".whl",
            ".jar",
            ".nupkg",
        ),
        *(
            ".gem",
            ".vsix",
            ".pkg.tar.zst",
            ".AppImage.tar.gz",
            ".deb.gz",
            ".7z",
            ".iso",
            ".sh",
            ".ps1",
            ".yaml",
            ".wasm",
            ".so",
        ),
        *(
            ".pdb",
            ".dSYM.zip",
            ".app.tar.gz",
            ".bottle.tar.gz",
            ".blockmap",
            ".torrent",
            ".patch",
            ".html",
            ".pdf",
            ".json.gz",
        ),
        *(
            "-source.tar.gz",
            ".src.tar.gz",
            "-debuginfo.tar.gz",
            "-completions.tar.gz",
            "-man.tar.gz",
            "-docs.tar.gz",
            "_SHA256SUMS",
        ),
    ],
)
def test_what_comes_with_a_program_is_never_it(ending: str) -> None:
    """Neither beside the program nor in its place on another platform."""
    names = ["app-linux-amd64.tar.gz", f"app-linux-amd64{ending}", f"app-linux-arm64{ending}"]
    assert best_fits(names, platform("linux/amd64")) == ("app-linux-amd64.tar.gz",)
    assert best_fits(names, platform("linux/arm64")) == ()


@pytest.mark.parametrize(
    "name", ["LICENSE", "README", "README.md", "SHA256SUMS", "checksums.txt", "source.tar.gz", "x.json"]
)
def test_documents_alone_are_no_artifact(name: str) -> None:
    assert best_fits([name], platform("linux/amd64")) == ()


@pytest.mark.parametrize(
    "name", ["app.tar.gz", "app", "app-1.2.3.zip", "app.bin", "docs.tar.gz", "test-app.tgz", "example.app.zip", "pkg.tar"]
)
@pytest.mark.parametrize("on", ["linux/amd64", "darwin/arm64", "linux/riscv64"])
def test_a_single_program_that_states_no_platform_fits_every_one(name: str, on: str) -> None:
    assert fit(on, name, f"{name}.sha256", "checksums.txt", "README.md") == name


def test_it_fits_no_more_where_others_state_theirs() -> None:
    """It may be the source, or the build for some other platform."""
    assert fit("linux/amd64", "app.zip", "app-darwin-arm64.zip") is None
    assert fit("linux/amd64", "app-1.0.tar.gz", "app_1.0_amd64.deb") is None
    assert fit("linux/amd64", "app.zip", "app.dmg") is None


def test_two_different_programs_are_both_named() -> None:
    names = ["client_linux_amd64.tar.gz", "server_linux_amd64.tar.gz", "server_linux_amd64.zip"]
    assert best_fits(names, platform("linux/amd64")) == ("client_linux_amd64.tar.gz", "server_linux_amd64.tar.gz")


def test_two_versions_or_distributions_of_one_program_are_both_named() -> None:
    names = ["app-ubuntu-22.04-amd64.tar.gz", "app-ubuntu-24.04-amd64.tar.gz"]
    assert best_fits(names, platform("linux/amd64")) == tuple(names)
    assert len(best_fits(["app-debian-amd64.tgz", "app-ubuntu-amd64.tgz"], platform("linux/amd64"))) == 2


@pytest.mark.parametrize(
    "variant", ["full", "rocm", "debug", "static", "slim", "cli", "fips", "2", "all-in-one", "pgo", "with-tls"]
)
def test_the_plain_build_wins_over_variants(variant: str) -> None:
    names = [f"app-{variant}-linux-amd64.tar.gz", "app-linux-amd64.tar.gz", f"app-linux-amd64-{variant}.tar.gz"]
    assert fit("linux/amd64", *names) == "app-linux-amd64.tar.gz"


def test_the_main_program_wins_over_those_named_after_it() -> None:
    names = ["app-linux-amd64", "appctl-linux-amd64", "app-agent-linux-amd64", "gen-app-linux-amd64", "libapp-linux-amd64"]
    assert fit("linux/amd64", *names) == "app-linux-amd64"


def test_a_library_beside_its_program_is_set_aside() -> None:
    assert fit("linux/amd64", "duck_cli-linux-amd64.zip", "libduck-linux-amd64.zip") == "duck_cli-linux-amd64.zip"


def test_a_companions_word_in_every_name_is_the_programs_own() -> None:
    names = ["api-docs-linux-amd64.tar.gz", "api-docs-darwin-arm64.tar.gz"]
    assert fit("linux/amd64", *names) == names[0]


def test_formats_have_a_fixed_order() -> None:
    endings = [
        ".tar.gz",
        ".tgz",
        ".tar.xz",
        ".txz",
        ".tar.zst",
        ".tzst",
        ".tar.bz2",
        ".tbz2",
        ".tar",
        ".zip",
        "",
        ".gz",
        ".xz",
    ]
    while endings:
        names = [f"app-linux-amd64{ending}" for ending in random.sample(endings, len(endings))]
        assert fit("linux/amd64", *names) == f"app-linux-amd64{endings.pop(0)}"


def test_glibc_before_musl_before_nothing() -> None:
    gnu, plain, musl = "a-x86_64-linux-gnu.tgz", "a-x86_64-linux.tgz", "a-x86_64-linux-musl.tgz"
    assert fit("linux/amd64", musl, plain, gnu) == gnu
    assert fit("linux/amd64", musl, plain) == plain
    assert fit("linux/amd64", musl) == musl


def test_a_hard_float_build_is_nearer_than_a_soft_float_one() -> None:
    names = ["a-armv7-linux-musleabi.tgz", "a-armv7-linux-musleabihf.tgz", "a-arm-linux-gnueabi.tgz"]
    assert fit("linux/arm/v7", *names) == names[1]


def test_the_nearest_arm_is_taken() -> None:
    names = [f"a-linux-{arm}.tgz" for arm in ("armv5", "arm", "armv6", "armv7")]
    for count in (4, 3, 2, 1):
        assert fit("linux/arm/v7", *names[:count]) == names[count - 1]
    assert fit("linux/arm/v6", *names) == names[2]
    assert fit("linux/arm", *names) == names[2], "an ARM of unknown version is taken for v6"
    assert fit("linux/arm/v5", *names) == names[0]


def test_an_own_build_is_nearer_than_a_universal_one() -> None:
    names = ["a-macos-universal.zip", "a-macos-x86_64.zip"]
    assert fit("darwin/amd64", *names) == names[1]
    assert fit("darwin/arm64", *names) == names[0]
    assert fit("darwin/arm64", "a_darwin_all.tar.gz", "a_darwin_amd64.tar.gz") == "a_darwin_all.tar.gz"
    assert fit("darwin/arm64", "a-macos-x86_64-arm64.zip") == "a-macos-x86_64-arm64.zip"


def test_an_intel_build_does_not_fit_apple_silicon() -> None:
    assert fit("darwin/arm64", "a-darwin-amd64.tgz", "a-linux-arm64.tgz") is None


def test_a_mac_build_without_architecture_is_the_one_that_is_missing() -> None:
    assert fit("darwin/amd64", "a-macos.zip", "a-macos-arm64.zip") == "a-macos.zip"
    assert fit("darwin/arm64", "a-macos.zip", "a-macos-intel.zip") == "a-macos.zip"
    assert fit("darwin/arm64", "a-mac.zip", "a-mac-x86.zip") == "a-mac.zip"
    assert fit("darwin/amd64", "a-macos.zip", "a-macos-apple-silicon.zip") == "a-macos.zip"
    assert fit("darwin/arm64", "a-macos.zip", "a-macos-m1.zip") == "a-macos-m1.zip"


def test_a_linux_build_without_architecture_is_for_amd64() -> None:
    assert fit("linux/amd64", "a-linux.tgz", "a-darwin.tgz") == "a-linux.tgz"
    assert fit("linux/arm64", "a-linux.tgz", "a-darwin.tgz") is None


def test_a_build_without_system_is_for_linux_unless_others_say_linux() -> None:
    assert fit("linux/arm64", "tool-arm64", "tool-amd64", "tool-amd64.exe") == "tool-arm64"
    assert fit("darwin/arm64", "tool-arm64", "tool-amd64") is None
    assert fit("linux/arm64", "tool-arm64.tgz", "tool-linux-amd64.tgz") is None
    assert fit("linux/arm64", "tool_arm64.zip", "tool_arm64.dmg") is None, "its twin says that it is for macOS"
    assert fit("linux/amd64", "tool_x64.zip", "tool-setup.exe") is None, "it may be for Windows"


def test_an_unmarked_executable_beside_builds_for_lesser_architectures_is_for_amd64() -> None:
    names = ["tool", "tool-arm64", "tool-armhf"]
    assert fit("linux/amd64", *names) == "tool"
    assert fit("linux/386", *names) is None


def test_a_platforms_name_in_a_projects_name_does_no_harm() -> None:
    assert fit("linux/amd64", "wasm-tool-x86_64-linux.tgz", "wasm-tool-x86_64-macos.tgz") == "wasm-tool-x86_64-linux.tgz"
    assert fit("linux/amd64", "apple-pie.tar.gz") == "apple-pie.tar.gz"
    assert fit("linux/amd64", "sequoia.tar.gz") == "sequoia.tar.gz"


def test_versions_in_names_are_not_architectures() -> None:
    assert fit("linux/amd64", "a-linux-x86_64-v3.1.0.zip", "a-linux-arm64-v3.1.0.zip") == "a-linux-x86_64-v3.1.0.zip"
    assert fit("linux/amd64", "a-1.386.0-linux-amd64.zip") == "a-1.386.0-linux-amd64.zip"
    assert fit("linux/arm/v7", "a-linux_arm-0.10.2.zip", "a-linux_amd64-0.10.2.zip") == "a-linux_arm-0.10.2.zip"
    assert fit("linux/arm64", "a-linux-arm-64.0.1.zip") is None


def test_rivals_are_bounded() -> None:
    """A version of ten thousand files without a platform is a website, not a choice."""
    names = [f"page{number}-{'x' * (number % 50)}{number}y.zip" for number in range(10_000)]
    assert 2 <= len(best_fits(names, platform("linux/amd64"))) <= 16


# -------------------------------------------------------------------------------------------------------- for every listing

_name = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["app", "app-1.2.0", "tool", "app-debug", "lib app", "App_2.0"]),
    st.sampled_from(
        ["", "-linux", "_Darwin", "-windows", "-x86_64-unknown-linux-gnu", "-linux-musl", "-macos", "-linux64", "-ubuntu"]
    ),
    st.sampled_from(["", "-amd64", "_arm64", "-armv7", "-x86", "-universal", "-arm", "-riscv64"]),
    st.sampled_from(["", ".tar.gz", ".zip", ".tar.xz", ".exe", ".deb", ".sha256", ".gz", ".txt"]),
)
_listing = st.lists(_name, max_size=8)
_platforms = st.sampled_from(
    ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "darwin/amd64", "darwin/arm64"]
).map(platform)


@given(_listing, _platforms, st.randoms())
def test_the_order_of_the_listing_does_not_matter(names: list[str], on: Platform, random: random.Random) -> None:
    assert best_fits(random.sample(names, len(names)), on) == best_fits(names, on)


@given(_listing, _platforms)
def test_what_fits_is_in_the_listing(names: list[str], on: Platform) -> None:
    found = best_fits(names, on)
    assert set(found) <= set(names)
    assert list(found) == sorted(found)


@given(_listing, _platforms)
def test_upper_and_lower_case_do_not_matter(names: list[str], on: Platform) -> None:
    lower = sorted({name.lower() for name in names})
    assert tuple(name.upper() for name in best_fits(lower, on)) == best_fits([name.upper() for name in lower], on)


@given(
    _listing,
    _platforms,
    st.sampled_from(
        ["shipped_to_linux-1_server_at_20240101T000000Z.txt", "checksums.txt", "SHA256SUMS", "x.minisig", "sbom.json"]
    ),
)
def test_a_checksum_a_signature_or_an_entry_changes_nothing(names: list[str], on: Platform, more: str) -> None:
    before = best_fits(names, on)
    assert best_fits([*names, more], on) == before
    for name in names:
        assert best_fits([*names, f"{name}.sha256", f"{name}.asc"], on) == before


@given(_listing, _platforms)
def test_a_file_for_another_system_changes_no_choice_that_was_made_by_platform(names: list[str], on: Platform) -> None:
    """A file that states none may be anything, once others state theirs: then it is no choice any more."""
    names = [*names, "app-freebsd-amd64.tar.gz"]
    assert best_fits([*names, "app-openbsd-arm64.zip", "tool-netbsd-386.tgz"], on) == best_fits(names, on)


@given(st.lists(st.text(max_size=30), max_size=6), _platforms)
def test_no_name_makes_it_raise(names: list[str], on: Platform) -> None:
    assert set(best_fits(names, on)) <= set(names)
