"""Storage of uploaded files: a folder, or an S3-compatible service.

Stores and reads bytes under random keys; owns no table and knows no client. The caller writes a file's row afterwards,
so that a row never names bytes that are missing; bytes without a row are dropped.
"""

from manifest_auth.runtime.files.kinds import KINDS, START, check_start
from manifest_auth.runtime.files.open_storage import folder_of, open_storage
from manifest_auth.runtime.files.storage import (
    FileStorage,
    FilesUnavailable,
    drop_older,
    path_of,
    upload_folder,
)
