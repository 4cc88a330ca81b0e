"""Safe unpacking of an artifact (R34, R35): nothing an archive says is trusted.

``formats`` and ``paths`` are the pure rules; ``tar`` and ``zip`` read members, ``streams`` and ``zstd`` decompress, and
``tree`` writes.
"""

from dewy.archive.formats import archive_format
from dewy.archive.members import Limits
from dewy.archive.unpacking import Unpacked, unpack

__all__ = ["Limits", "Unpacked", "archive_format", "unpack"]
