"""Where the bytes of uploaded files lie: a folder, or an S3-compatible service. Owns no table and knows no tenant: it
keeps bytes under random keys, and hands them out again.

Whoever keeps a file here writes its row afterwards, so that a row never names bytes that are not there; bytes without a
row are nobody's.
"""

from manifest_auth.runtime.files.keeper import (
    FilesUnavailable,
    Keeper,
    arriving,
    drop_older,
    path_of,
)
from manifest_auth.runtime.files.kinds import KINDS, START, check_start
from manifest_auth.runtime.files.opening import folder_of, open_keeper

__all__ = [
    "KINDS",
    "START",
    "FilesUnavailable",
    "Keeper",
    "arriving",
    "check_start",
    "drop_older",
    "folder_of",
    "open_keeper",
    "path_of",
]
