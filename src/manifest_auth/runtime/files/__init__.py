"""Where the bytes of uploaded files lie: a folder, or an S3-compatible service.

Keeps bytes under random keys, and hands them out again; owns no table and knows no client. The caller writes a
file's row afterwards, so that a row never names bytes that are not there; bytes without a row are dropped.
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
