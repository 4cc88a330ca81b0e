"""From what a catalog lists to the one release to run (R25-R28). Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dewy.audit import is_entry
from dewy.checksums import checksum_files
from dewy.constraints import Constraint
from dewy.errors import RegistryError, ReleasePending
from dewy.platforms import best_fits
from dewy.types import ListedFile, ListedVersion, Platform, Release
from dewy.versions import AnyVersion, Version, parse_version

__all__ = ["GRACE", "Rules", "artifact_of", "is_remains", "is_safe_name", "newest", "nothing_to_run", "release_of"]

GRACE = timedelta(minutes=30)
"""How long after its publication a version's artifact may still be on its way (R28)."""

_SHOWN = 8
"""So many names stand in an error text; the rest is counted."""

_LONGEST_NAME = 255
"""In bytes: what file systems take."""

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the user asks of a release.

    Attributes:
        pre_release: Take pre-releases too.
        artifact: The artifact's file name; None to have the one found that fits the platform.
        constraint: The range of semantic versions that is not left; None for all.
        slot: Only versions with this build metadata; None for all.
        parse: How a tag is read: as a semantic or a calendar version.
    """

    pre_release: bool = False
    artifact: str | None = None
    constraint: Constraint | None = None
    slot: str | None = None
    parse: Callable[[str], AnyVersion | None] = parse_version


# ------------------------------------------------------------------------------------------------------- which version


def newest(versions: Iterable[ListedVersion], rules: Rules) -> ListedVersion | None:
    """The newest version that the rules allow, whatever the order of the list; None when there is none (R25)."""
    allowed = [
        (version, _utc(listed.published) or _EARLIEST, listed)
        for listed in versions
        if (version := rules.parse(listed.tag)) is not None and _allows(rules, version)
    ]
    return max(allowed, key=lambda candidate: candidate[:2])[2] if allowed else None


def nothing_to_run(versions: Iterable[ListedVersion], rules: Rules) -> RegistryError:
    """Why there is none to run, though all that :func:`newest` found was looked at: what is there instead, what to do."""
    tags = sorted({listed.tag for listed in versions})
    parsed = sorted(version for tag in tags if (version := rules.parse(tag)) is not None)
    if not tags:
        return RegistryError("the registry has no versions", "Publish one, v1.0.0 say")
    if not parsed:
        return RegistryError(
            f"the registry has no version of the form asked for among {_shown(tags)}",
            "Name versions as in 1.4.0 or v1.4.0-rc.1, or tell the form of calendar versions with --calver",
        )
    if allowed := [str(version) for version in reversed(parsed) if _allows(rules, version)]:
        return RegistryError(
            f"the registry's newest versions have no files, as if they were deleted: {_shown(allowed)}",
            "Publish a version with its artifact, or remove what is left of those",
        )
    there = _shown([str(version) for version in reversed(parsed)])
    if rules.slot is not None and not any(version.build == rules.slot for version in parsed):
        return RegistryError(
            f"the registry has no version in the slot {rules.slot}: {there}", "Correct --slot, or publish one"
        )
    if rules.constraint and not any(_in_range(rules.constraint, version) for version in parsed):
        return RegistryError(
            f"the registry has no version in the range {rules.constraint}: {there}", "Correct --constraint, or publish one"
        )
    return RegistryError(
        f"the registry has only pre-releases: {there}", "To take pre-releases, set pre-release=true in the registry URL"
    )


def _allows(rules: Rules, version: AnyVersion) -> bool:
    return (
        (rules.pre_release or not version.is_prerelease)
        and (rules.slot is None or version.build == rules.slot)
        and (rules.constraint is None or _in_range(rules.constraint, version))
    )


def _in_range(constraint: Constraint, version: AnyVersion) -> bool:
    return isinstance(version, Version) and constraint.allows(version.semver)


# ----------------------------------------------------------------------------------------------------- which of its files


def artifact_of(
    version: ListedVersion, files: Iterable[ListedFile], platform: Platform, rules: Rules, now: datetime
) -> ListedFile:
    """The file of a version that is the artifact for a platform (R27).

    Args:
        version: The version.
        files: All its files, in any order. Audit entries and names that are no safe file names are passed over.
        platform: The host's.
        rules: With the artifact's name, if the user has given one.
        now: The time, aware of its zone.

    Raises:
        ReleasePending: It is not there, and the version is so new that it may still come (R28).
        RegistryError: It is not there, or several files fit equally well.
    """
    by_name = {file.name: file for file in sorted(files, key=lambda file: (file.name, file.url), reverse=True)}
    offered = {name: file for name, file in by_name.items() if is_safe_name(name) and not is_entry(name)}
    if rules.artifact is not None:
        found: tuple[str, ...] = (rules.artifact,) if rules.artifact in offered else ()
    else:
        found = best_fits(offered, platform)
    if len(found) == 1:
        return offered[found[0]]
    if found:
        raise RegistryError(
            f"{version.tag} has {len(found)} files that fit {platform} equally well: {_shown(found)}",
            f"Say which one with artifact= in the registry URL, as in artifact={found[0]}",
        )
    raise _missing(version, offered, platform, rules, now)


def is_remains(version: ListedVersion, files: Iterable[ListedFile]) -> bool:
    """Whether this is what is left of a version that was deleted (R26), and no version any more.

    Stores go on listing the empty folder, and dewy's own audit entries outlive an artifact. A version whose publication is
    known and that has no files at all is a new one, whose files are still on their way.
    """
    names = [file.name for file in files]
    return all(map(is_entry, names)) and (bool(names) or version.published is None)


def release_of(version: ListedVersion, file: ListedFile, files: Iterable[ListedFile] = ()) -> Release:
    """The release that a version and its artifact make, with everything that the listing states of the bytes.

    Args:
        version: The version.
        file: Its artifact.
        files: All its files, among which may be some with checksums.
    """
    return Release(
        version=version.tag,
        artifact=file.name,
        url=file.url,
        size=file.size,
        digests=(file.digest,) if file.digest else (),
        fingerprint=file.fingerprint,
        published=version.published,
        checksums=checksum_files(file.name, files),
    )


def _missing(
    version: ListedVersion, offered: dict[str, ListedFile], platform: Platform, rules: Rules, now: datetime
) -> RegistryError:
    """Says what is missing and what is there; pending while it may still come."""
    there = f"its files are {_shown(sorted(offered))}" if offered else "it has no files"
    if rules.artifact is not None:
        message = f"{version.tag} has no file {_quoted(rules.artifact)}: {there}"
        hint = "Correct artifact= in the registry URL, or publish that file"
    else:
        message = f"{version.tag} has no file that is known to fit {platform}: {there}"
        hint = "Publish one with the platform in its name, as in myapp_linux_amd64.tar.gz, or name one with artifact="
    if _in_grace(version, offered.values(), now):
        return ReleasePending(f"{message}; it may still be on its way")
    return RegistryError(message, hint)


def _in_grace(version: ListedVersion, files: Iterable[ListedFile], now: datetime) -> bool:
    """Whether the publication is less than the grace away.

    Where a store knows no publication, the last file that came counts. A time further ahead than the grace is no clock
    that differs a little but wrong: it gives no grace, or it would give one without end.
    """
    written = [time for file in files if (time := _utc(file.modified)) is not None]
    published = _utc(version.published) or max(written, default=None)
    return published is not None and abs(now - published) < GRACE


def _utc(time: datetime | None) -> datetime | None:
    """In UTC, also where a plugin has left out the zone."""
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)


def is_safe_name(name: str) -> bool:
    """Whether a name may become a file's: it comes from a store, which is not trusted."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return (
        0 < size <= _LONGEST_NAME
        and name.isprintable()
        and name[0] not in ".-"
        and not any(part in name for part in ("/", "\\", ".."))
    )


# ------------------------------------------------------------------------------------------------------------- in words


def _shown(names: Sequence[str]) -> str:
    """A bounded list of names for an error text."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(_quoted, names[:_SHOWN])) + more


def _quoted(name: str) -> str:
    """A name for an error text: as it is when it is harmless, else escaped; never long."""
    shown = name if name.isprintable() and name else ascii(name)
    return shown if len(shown) <= 100 else f"{shown[:97]}…"
