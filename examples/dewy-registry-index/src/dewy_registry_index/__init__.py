"""A dewy registry for ``index://host/path/index.json``: a JSON index on any web server."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from dewy.errors import RegistryError, UsageError
from dewy.hookspecs import hookimpl
from dewy.types import CATALOG_OPTIONS, Backend, Catalog, Context, ListedFile, ListedVersion, Option
from dewy.urls import BackendURL


class IndexCatalog:
    """The versions that an index lists, and their files, which the built-in https artifact downloads."""

    def __init__(self, address: str, context: Context) -> None:
        self.address, self.context = address, context

    def index(self) -> dict[str, Any]:
        """The index as it is now; the client remembers it, so one that has not changed costs a 304."""
        index = self.context.http.get(self.address).json()
        if not isinstance(index, dict):
            raise RegistryError("the index is a JSON document of another kind", "It is an object with a member per version")
        return index

    def versions(self) -> Iterator[ListedVersion]:
        """All versions, in any order: dewy picks the newest."""
        for tag, version in self.index().items():
            yield ListedVersion(tag, datetime.fromisoformat(version["published"]))

    def files(self, version: ListedVersion) -> Iterator[ListedFile]:
        """All files of one version, in any order: dewy picks the one for this host."""
        for name, file in self.index().get(version.tag, {}).get("files", {}).items():
            yield ListedFile(name, urljoin(self.address, file["url"]), file["size"], f"sha256:{file['sha256']}")


def open_index(url: BackendURL, context: Context) -> Catalog:
    """Opens a registry URL without asking anybody yet."""
    if not url.host or not url.path:
        raise UsageError(f"the registry URL {url} names no index", "It takes the form index://host/path/index.json")
    parts = urlsplit(url.raw)
    return IndexCatalog(f"{'http' if url.flag('insecure') else 'https'}://{parts.netloc}{parts.path}", context)


INDEX = Backend(
    schemes=("index",),
    summary="a JSON index on any web server",
    examples=("index://downloads.example.com/myapp/index.json?pre-release=true",),
    open=open_index,
    options=(*CATALOG_OPTIONS, Option("insecure", "use http in place of https", kind="flag", default="false")),
)


@hookimpl
def dewy_registries() -> list[Backend[Catalog]]:
    """What this plugin brings."""
    return [INDEX]
