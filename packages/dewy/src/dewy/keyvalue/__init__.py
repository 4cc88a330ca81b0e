"""Caches on key-value stores: artifacts of any size in a store of small values, once for every such store.

A plugin for a store implements :class:`KeyValueStore` (get, set, delete, keys, compare-and-set) and opens its cache with
:func:`key_value_cache`.
"""

from dewy.keyvalue.cache import KeyValueCache, key_value_cache
from dewy.keyvalue.store import KeyValueStore, WatchableStore

__all__ = ["KeyValueCache", "KeyValueStore", "WatchableStore", "key_value_cache"]
