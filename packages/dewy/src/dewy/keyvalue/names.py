"""The names of a shared cache: from a cache's key, whatever is in it, to the record that the store has under it."""

from __future__ import annotations

from collections.abc import Iterator

from dewy.keyvalue.records import Pointer, Stored, decode_name, encode_name, read_name, write_name
from dewy.keyvalue.store import KeyValueStore

__all__ = ["Names"]


class Names:
    """Records by key. Each method raises CacheError when the store fails.

    Args:
        store: Where they are.
        prefix: Of the store's keys.
    """

    def __init__(self, store: KeyValueStore, prefix: str) -> None:
        self._store, self._start = store, f"{prefix}names/"

    def store_key(self, key: str) -> str:
        """Where the store has a key's record."""
        return self._start + encode_name(key)

    def get(self, key: str) -> bytes | Pointer | None:
        """The small value, or what leads to a large one; None when there is neither."""
        record = self._store.get(self.store_key(key))
        return None if record is None else read_name(record).value

    def set(self, key: str, value: bytes | Pointer) -> None:
        """Stores a record, replacing what was there."""
        self._store.set(self.store_key(key), write_name(key, value))

    def delete(self, key: str) -> None:
        """Removes a record."""
        self._store.delete(self.store_key(key))

    def compare_and_set(self, key: str, expected: bytes | Pointer | None, value: bytes | None) -> bool:
        """Replaces a record, or removes it, if it is as expected; whether it did."""
        old, new = (None if given is None else write_name(key, given) for given in (expected, value))
        return self._store.compare_and_set(self.store_key(key), old, new)

    def all(self) -> Iterator[tuple[str, Stored]]:
        """Every key and its record, read. What is none of ours is passed over."""
        for name in list(self._store.keys(self._start)):
            record = self._store.get(name)
            if record is None:
                continue
            stored, key = read_name(record), decode_name(name.removeprefix(self._start))
            key = stored.key if key is None else key
            if key is not None and stored.value is not None:
                yield key, stored
