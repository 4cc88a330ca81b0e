"""Every error that dewy itself raises: a sentence a person can act on, and what to do about it.

Pure: this module imports nothing of dewy.
"""

from __future__ import annotations

import errno


class DewyError(Exception):
    """Something failed for a reason that dewy can name.

    Args:
        message: What failed, on what, and why: one sentence without a full stop at its end.
        hint: What to do about it, if dewy knows. One sentence, or empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UsageError(DewyError):
    """What the user wrote is wrong: an option, a URL, a combination. The command ends with status 2."""


class PluginError(DewyError):
    """A plugin is missing, broken, collides with another, hangs, or raised something it should not have."""


class RegistryError(DewyError):
    """The registry did not answer, refused, or said something that cannot be used."""


class ReleasePending(RegistryError):
    """The newest version is there but not ready to be deployed yet, its artifact being uploaded, say (R28).

    No failure: the running version stays, nobody is notified.
    """


class ArtifactError(DewyError):
    """The artifact could not be downloaded, or what came is not what was promised."""


class ArchiveError(ArtifactError):
    """The artifact cannot be unpacked, or unpacking it would be unsafe. Names the member and the reason."""


class CacheError(DewyError):
    """The cache failed. Never fatal: the deployment goes on without it (R44)."""


class DamagedError(CacheError):
    """What the cache has under a key is not, or not all of, what was stored there."""


class NotifierError(DewyError):
    """A message could not be delivered. Never fatal (R53).

    Args:
        message: As in :class:`DewyError`.
        hint: As in :class:`DewyError`.
        retry_after: Seconds that the medium asked to wait before the next try; None when it did not say.
        permanent: Trying again would end the same way: a wrong password, say.
    """

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None, permanent: bool = False) -> None:
        super().__init__(message, hint)
        self.retry_after, self.permanent = retry_after, permanent


class HookError(DewyError):
    """A deploy hook failed or ran out of time. Before the deployment it stops it (R61)."""


class StartError(DewyError):
    """The application did not start, or was not ready in time; carries the end of what it printed.

    Args:
        message: As in :class:`DewyError`.
        hint: As in :class:`DewyError`.
        output: The last lines that the application wrote, oldest first, without line ends.
        code: Its exit code, a signal being negative; None when it has not ended, or nobody knows.
    """

    def __init__(self, message: str, hint: str = "", *, output: tuple[str, ...] = (), code: int | None = None) -> None:
        super().__init__(message, hint)
        self.output, self.code = output, code


class HostError(DewyError):
    """This host is at fault, not the version: no space, no memory, no permission. Tried again, never held."""


_HOST_FAULTS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN,
    }
)  # fmt: skip
_CURES = {
    errno.ENOSPC: "Free some space; dewy tries again",
    errno.EDQUOT: "The disk quota is used up: free some space; dewy tries again",
    errno.EROFS: "The file system is read-only",
    errno.EACCES: "Check the owner and the permissions, and which user dewy runs as",
    errno.EPERM: "Check the owner and the permissions, and which user dewy runs as",
}


def from_os_error(error: OSError, doing: str) -> DewyError:
    """What the operating system refused, as a sentence: HostError where this host is at fault, else DewyError.

    Args:
        error: What was raised.
        doing: What dewy was doing: "writing the state".
    """
    where = f" ({error.filename})" if error.filename else ""
    kind = HostError if error.errno in _HOST_FAULTS else DewyError
    return kind(f"{doing} failed: {error.strerror or error}{where}", _CURES.get(error.errno or 0, ""))


def output_of(error: BaseException) -> str:
    """What an application wrote before it failed, also where this host is to blame for it; empty where nothing is known."""
    failed = error if isinstance(error, StartError) else error.__cause__
    return "\n".join(failed.output) if isinstance(failed, StartError) else ""


def as_dewy_error(error: Exception, doing: str) -> DewyError:
    """Any error as a sentence: dewy's own as it is, the operating system's explained, others named as a fault of dewy.

    Args:
        error: What was raised.
        doing: What dewy was doing: "deploying v1.2.0".
    """
    if isinstance(error, DewyError):
        return error
    if isinstance(error, OSError):
        return from_os_error(error, doing)
    return DewyError(f"{doing} failed: {type(error).__name__}: {error}", "This is a fault of dewy: please report it")
