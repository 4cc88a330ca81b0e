"""The vocabulary of release files: which words in a name say what, as people write them. Pure: tables, and one reader.

Names are read in lower case with every separator written as a dash; a dot between two digits stays (``1.2.3``). Words
are whole: what is in a table counts only between dashes, or glued to a system's name as in ``linuxamd64`` and ``macos11``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

__all__ = [
    "AFTER_SYSTEM",
    "BARE_SUFFIXES",
    "BESIDE",
    "FORMATS",
    "NEVER_BUILT",
    "PACKAGES",
    "VENDORS",
    "facts",
    "is_platform",
]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


FORMATS = (
    *(".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2", ".tbz", ".tar", ".zip"),
    "",  # the bare executable
    *(".gz", ".xz", ".zst", ".bz2"),  # of one bare executable
)
"""What an artifact's name may end in, the preferred first among files that are otherwise the same (R34)."""

BARE_SUFFIXES = frozenset({"bin", "elf", "run"})
"""What a bare executable may end in. Any other ending that is a word, but for a platform's, says: no executable."""

PACKAGES: Mapping[str, str] = {
    **dict.fromkeys(["deb", "rpm", "appimage", "flatpak", "flatpakref", "snap"], ""),  # Linux, like much without a word
    **dict.fromkeys(["dmg", "pkg", "mpkg", "app", "dsym"], "darwin"),
    **dict.fromkeys(["exe", "msi", "msix", "msixbundle", "appx", "appxbundle", "nsis", "pdb", "dll"], "windows"),
    **dict.fromkeys(["ipa", "xcframework"], "ios"),
    **dict.fromkeys(["aab", "aar"], "android"),
    **dict.fromkeys(
        ["apk", "bottle", "whl", "jar", "war", "gem", "crate", "artifactbundle", "nupkg", "snupkg", "vsix", "xpi", "crx"], ""
    ),
    **dict.fromkeys(["wasm", "so", "dylib", "iso", "img", "qcow2", "vmdk", "ova", "eopkg", "ebuild"], ""),
    **dict.fromkeys(["orig", "debian", "nar", "mcpb", "dxt"], ""),
}
"""Endings of what another tool installs or loads, also before an archive's (``.pkg.tar.zst``), and the system they imply.

Never artifacts; but they show for which platforms a release is built.
"""

NEVER_BUILT = _set(
    """
    source sources src vendored
    completion completions man manpage manpages readme license licenses licence licences copying notice notices changelog
    checksum checksums sha1 sha256 sha512 md5 b2 b3 sums sha1sum sha1sums sha256sum sha256sums sha512sum sha512sums
    shasum shasums shasums256 shasums512 md5sum md5sums b2sum b2sums b3sum b3sums digests signature signatures
    sbom sboms spdx provenance attestation attestations intoto debuginfo debugsym debugsyms debugsymbols dbg dbgsym
    """
)
"""Words for what comes with a program: alone, such a file is never the artifact."""

BESIDE = NEVER_BUILT | _set(
    """
    vendor doc docs documentation manual thirdparty changes authors contributing makefile dockerfile
    sum sig bom symbols headers test tests testdata testimage benchmarks example examples template templates
    chart charts crd crds manifest manifests schema schemas openapi metadata
    airgap images installer install updater update upgrade
    """
)
"""Words for what stands beside a program. Only where they are not part of the name that all files share."""

VENDORS = frozenset({"unknown", "pc", "apple"})
"""Words of target triples that say nothing of a file."""

_SYSTEMS: Mapping[str, tuple[str, ...]] = {
    # Systems that have "linux" or "apple" in their triples but do not run programs for Linux or macOS.
    "android": (r"(?:linux-?)?android(?:eabi)?", "termux"),
    "alpine": (r"(?:linux-)?alpine(?:-?linux)?",),  # built against musl as a shared library: not for other Linuxes
    "openwrt": ("openwrt",),
    "ios": ("ios", "iphone(?:os)?", "(?:iphone|ios-?)simulator", "tvos", "watchos", "visionos", "xros"),
    "windows": (r"w64-mingw32", "windows", "win", "winnt", "mingw", "w64", "cygwin", "msys2?", "msvc", "uwp"),
    "wasm": (r"wasm(?:32|64)?", r"wasi(?:p[12])?", "emscripten"),
    "none": (r"none-e(?:abi(?:hf)?|lf)",),  # for no system at all: firmware
    "darwin": ("darwin", r"mac-?os(?:-?x)?", "osx", "mac"),
    "linux": ("linux", "gnulinux", r"(?:many|musl)linux"),
    "freebsd": ("freebsd",),
    "netbsd": ("netbsd",),
    "openbsd": ("openbsd",),
    "dragonfly": ("dragonflybsd",),
    "solaris": ("solaris", "sunos"),
    "illumos": ("illumos",),
}
"""Operating systems in Go's names. Where a name has several, the last one counts: ``wasm-tools-…-linux`` is for Linux."""

_DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "linux": (
        *(
            "ubuntu",
            "debian",
            "raspbian",
            "raspios",
            "fedora",
            "centos",
            "rhel",
            r"el(?:[6-9]|10)",
            "almalinux",
            "rockylinux",
        ),
        *("amazonlinux", "amzn2?", "al2023", "opensuse", "suse", r"sles(?:1[0-9])?", "archlinux", "nixos"),
    ),
}
"""Distributions: they name the system, and stay words of the name, so that two of them never look alike."""

_COMMON_WORDS: Mapping[str, tuple[str, ...]] = {
    "darwin": (
        *("apple", "sierra", r"high-?sierra", "mojave", "catalina", r"big-?sur", "monterey", "ventura", "sonoma", "sequoia"),
        "tahoe",
    ),
    **{name: (name,) for name in ("aix", "dragonfly", "haiku", "fuchsia", "redox", "hurd", "plan9", "qnx", "zos", "uefi")},
}
"""Systems and releases whose names may as well be a program's: they count where nothing else names the system, and the
name states an architecture too, as ``arm64_sonoma`` does. They also stay words."""

_X86_64 = r"(?:amd-?64|x86-?64|x64)"

_ARCHITECTURES: Mapping[str, tuple[str, ...]] = {
    "amd64 above the baseline": (rf"{_X86_64}-?v[234]",),  # needs a processor that this host may not have
    "amd64": (rf"{_X86_64}(?:-?v1)?(?:-?bits?)?", "em64t", "intel64"),
    "386": (r"x86-?32(?:-?bits?)?", r"i[3-6]86", r"[3-6]86", "ia32", "x32"),
    "x86": (r"x86(?:-?32-?bits?)?",),  # 32 bits, but for macOS, which has none
    "arm64be": (r"aarch-?64-?be", "arm64be"),
    "arm64": (r"aarch-?64(?:-?v8a?)?", r"arm-?64(?:-?v[89]a?)?(?:-?bits?)?", r"arm-?v8", r"(?:apple-?)?silicon"),
    "armv7": (r"arm(?:32)?-?v?7(?:l|a|hf|hl|-?hf)?", "armhfp?", r"arm-hf", r"armv8l"),  # Debian's armhf is v7
    "armv6": (r"arm(?:32)?-?v?6(?:l|hf|hl|-?hf)?",),
    "armv5": (r"arm(?:32)?-?v?5(?:l|te|tel|tejl)?", "armel"),
    "arm": (r"arm(?:-?32)?(?:-?bits?)?",),
    "riscv64": (r"risc-?v-?64(?:gc|g)?",),
    "ppc64le": (r"(?:ppc|powerpc)-?64-?(?:le|el)", r"(?:ppc|powerpc)-?(?:le|el)-?64"),
    "ppc64": (r"(?:ppc|powerpc)-?64",),
    "s390x": (r"s390x?", r"s390-?64"),
    "loong64": (r"loong(?:arch)?-?64",),
    "mips64le": (r"mips-?64-?(?:r6)?(?:le|el)",),
    "mips64": (r"mips-?64(?:r6)?",),
    "mipsle": (r"mips(?:32)?-?(?:r6)?(?:le|el)",),
    "mips": (r"mips(?:32)?(?:r6)?",),
    **{name: (name,) for name in ("sparc64", "sparcv9", "sparc", "ia64", "hppa", "m68k", "riscv32", "armeb")},
    "ppc": ("ppc", "powerpc"),
}
"""Architectures in Go's names (ARM with its version), the longer spellings first."""

_OTHERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "hint": {
        "any": (r"universal2?(?:-binary)?", "noarch", r"multi-?arch"),
        "amd64": (r"64-?bits?", "intel"),
        "386": (r"32-?bits?",),
    },  # where nothing says it better
    "perhaps any": {"all": ("all",), "any": ("any",), "fat": ("fat",)},
    "libc": {
        "gnu": (r"gnu(?:eabihf|abi64|f32|f64)?", "glibc"),
        "gnueabi": ("gnueabi",),
        "musl": (r"musl(?:eabihf|abi64)?",),
        "musleabi": ("musleabi",),
        "other": (r"uclibc(?:eabi(?:hf)?|gnueabi(?:hf)?)?", "gnux32", r"gnu-?x32", "bionic"),
    },
    "soft float": {"musleabi": ("eabi",), "": ("eabihf", "hf")},  # where no libc is named
}

AFTER_SYSTEM: Mapping[str, str] = {"64": "amd64", "32": "386", **dict.fromkeys(["m1", "m2", "m3", "m4"], "arm64")}
"""Words that say an architecture right after a system's name: ``linux-64``, ``win32``, ``macos-m1``."""

_TABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "os": _SYSTEMS,
    "distribution": _DISTRIBUTIONS,
    "perhaps os": _COMMON_WORDS,
    "arch": _ARCHITECTURES,
    **_OTHERS,
}


def _one_of(*tables: Mapping[str, tuple[str, ...]]) -> str:
    return "|".join(spelling for table in tables for spellings in table.values() for spelling in spellings)


_KINDS = [(kind, value) for kind, table in _TABLES.items() for value in table]
_GROUPS = "|".join(f"(?P<f{number}>{'|'.join(_TABLES[kind][value])})" for number, (kind, value) in enumerate(_KINDS))
_FACT = re.compile(rf"(?<![a-z0-9.])(?:{_GROUPS})(?![a-z0-9]|\.[0-9])")

_GLUING = (
    "linux|darwin|macosx|macos|osx|mac|windows|win|mingw|freebsd|netbsd|openbsd|ubuntu|debian|centos|rhel|fedora|alpine"
)
_ARCHITECTURE = _one_of(_ARCHITECTURES)
_GLUED = re.compile(
    rf"(?<![a-z0-9])({_GLUING})(?=(?:{_ARCHITECTURE}|static|musl|gnu|universal|intel|[0-9][0-9.]*)(?![a-z0-9]))"
)
_GLUED_BACKWARDS = re.compile(rf"(?<![a-z0-9])({_ARCHITECTURE})(?=(?:{_GLUING})(?![a-z0-9]))")
_SEPARATOR = re.compile(r"(?<![0-9])\.|\.(?![0-9])|[^a-z0-9.]+")


def facts(stem: str) -> Iterator[tuple[str, str]]:
    """Reads a name without its format, in lower case, word by word.

    Yields:
        ``("os", "linux")``, ``("arch", "amd64")``, ``("hint", ARCH or "any")``, ``("libc", …)``,
        ``("soft float", LIBC)``, and ``("word", …)`` for everything else. A distribution is an os and a word;
        what may name a system, ``("perhaps os", …)``, is a word too.
    """
    text = _SEPARATOR.sub("-", stem)
    text = _GLUED_BACKWARDS.sub(r"\1-", _GLUED.sub(r"\1-", text))
    position = 0
    for match in _FACT.finditer(text):
        yield from _words(text[position : match.start()])
        kind, value = _KINDS[int((match.lastgroup or "f0")[1:])]
        if kind in ("distribution", "perhaps os"):
            yield "word", match[0]
        yield ("os" if kind == "distribution" else kind), value
        position = match.end()
    yield from _words(text[position:])


def _words(text: str) -> Iterator[tuple[str, str]]:
    return (("word", word) for word in text.split("-") if word)


def is_platform(text: str) -> bool:
    """Whether a text consists of nothing but words for platforms, as the ending of ``tool.amd64`` does."""
    return all(kind in ("os", "arch", "hint", "libc") for kind, _ in facts(text))
