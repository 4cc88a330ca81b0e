"""Keys of objects: what stands after the bucket in a URL, and which parts of a key are names. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.objectstore.store import ObjectStore
    from dewy.urls import BackendURL

__all__ = ["is_plain_name", "key_in", "prefix_in"]


def prefix_in(url: BackendURL, path: str) -> str:
    """What the keys of everything in a registry begin with: empty for a whole bucket, else it ends with a slash.

    Args:
        url: The registry's.
        path: What stands in it after the bucket, decoded.

    Raises:
        UsageError: No object can have such a key.
    """
    _check(url, path)
    prefix = path.strip("/")
    return f"{prefix}/" if prefix else ""


def key_in(url: BackendURL, path: str, store: ObjectStore) -> str:
    """An object's key.

    Args:
        url: The artifact's.
        path: What stands in it after the bucket, decoded.
        store: The bucket, to say the right form.

    Raises:
        UsageError: There is no key, or no object can have it.
    """
    _check(url, path)
    if not path or path.endswith("/"):
        raise UsageError(f"the artifact URL {url} names no object", f"The form is {store.url_of('KEY')}")
    return path


def is_plain_name(name: str) -> bool:
    """Whether a key's part can be a file's or folder's name: not empty, no dots only, no slash, all of it printable."""
    return name not in ("", ".", "..") and "/" not in name and name.isprintable()


def _check(url: BackendURL, path: str) -> None:
    # HTTP clients and proxies resolve dots in paths, so that such a key leads to another object.
    if any(part in (".", "..") for part in path.split("/")):
        raise UsageError(
            f"{url} has a '.' or '..' in its path", "A bucket has no folders to go up in: write the whole prefix"
        )
