"""Argon2id worker process: one job per message on file descriptor 0, answers in order, exits at end of file.

Job: u32 memory KiB, u32 passes, u32 lanes, u8 tag length, u8 salt length, salt, password. Answer: the tag, or ``!`` and
Argon2's error number. Started by :mod:`.hasher` as ``python -I -S worker.py NICE BUFFER_KIB FOLDER…``. It imports no
other module of this server, so it needs about 3 MiB and starts in a few dozen milliseconds.

Jobs of the usual size reuse one buffer in huge pages, which is neither released nor wiped between two hashes, because
page faults and wiping take a tenth of a hash's time or more. It is released (and so wiped) after ``IDLE_MS`` without a
job, and excluded from core dumps.
"""

from __future__ import annotations

# C modules, since Python's wrappers of them (enumerations, selectors, typing, ctypes) take 5 MiB in each worker.
import _signal  # type: ignore[import-not-found]  # typeshed does not list it
import _socket
import mmap
import posix
import select
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER = struct.Struct("<IIIBB")
ARGON2ID, VERSION = 2, 0x13
IDLE_MS = 1000


class Hasher:
    """Argon2id with one reused buffer of ``buffer_kib``."""

    def __init__(self, buffer_kib: int) -> None:
        from _argon2_cffi_bindings import ffi, lib

        self._ffi, self._lib = ffi, lib
        self._buffer_kib = buffer_kib
        self._area: mmap.mmap | None = None
        self._wipe: Any = None
        self._callbacks: tuple[Any, Any] = (ffi.NULL, ffi.NULL)
        self.dirty = False
        self._set_up_buffer()

    def _set_up_buffer(self) -> None:
        """Sets up the reused buffer. Without it every hash allocates and wipes its own memory."""
        import _ctypes

        import _argon2_cffi_bindings._ffi as native

        ffi = self._ffi
        try:
            wipe = _ctypes.dlsym(_ctypes.dlopen(native.__file__, posix.RTLD_NOW), "FLAG_clear_internal_memory")
        except OSError:  # the symbol is hidden in this build
            return
        area = mmap.mmap(-1, self._buffer_kib * 1024, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for advice in ("MADV_HUGEPAGE", "MADV_DONTDUMP"):
            if hasattr(mmap, advice):
                try:
                    area.madvise(getattr(mmap, advice))
                except OSError:  # a kernel without huge pages
                    continue
        base = ffi.cast("uint8_t *", ffi.from_buffer(area))

        @ffi.callback("int(uint8_t **, size_t)")  # type: ignore[untyped-decorator]  # cffi has no types
        def allocate(where: Any, _size: int) -> int:
            where[0] = base
            return 0

        @ffi.callback("void(uint8_t *, size_t)")  # type: ignore[untyped-decorator]  # cffi has no types
        def free(_where: Any, _size: int) -> None:
            return None

        self._area, self._wipe, self._callbacks = area, ffi.cast("int *", wipe), (allocate, free)

    def hash(self, job: bytes) -> bytes:
        """Returns the tag for a job's message, or ``!`` and the error number."""
        ffi = self._ffi
        memory, passes, lanes, tag_length, salt_length = HEADER.unpack_from(job)
        salt = job[HEADER.size : HEADER.size + salt_length]
        password = job[HEADER.size + salt_length :]
        reuse = self._area is not None and memory == self._buffer_kib
        allocate, free = self._callbacks if reuse else (ffi.NULL, ffi.NULL)
        if self._wipe is not None:
            self._wipe[0] = 0 if reuse else 1
        out = ffi.new("uint8_t[]", tag_length)
        c_password, c_salt = ffi.new("uint8_t[]", password), ffi.new("uint8_t[]", salt)
        context = ffi.new(
            "argon2_context *",
            {
                "out": out,
                "outlen": tag_length,
                "pwd": c_password,
                "pwdlen": len(password),
                "salt": c_salt,
                "saltlen": salt_length,
                "secret": ffi.NULL,
                "secretlen": 0,
                "ad": ffi.NULL,
                "adlen": 0,
                "t_cost": passes,
                "m_cost": memory,
                "lanes": lanes,
                "threads": 1,
                "version": VERSION,
                "allocate_cbk": allocate,
                "free_cbk": free,
                "flags": 0,
            },
        )
        code = self._lib.argon2_ctx(context, ARGON2ID)
        self.dirty = self.dirty or reuse
        return bytes(ffi.buffer(out)) if code == 0 else b"!%d" % code

    def release_buffer(self) -> None:
        """Returns the buffer's pages to the kernel; new pages are zero."""
        if self._area is not None:
            self._area.madvise(mmap.MADV_DONTNEED)
        self.dirty = False


def main(nice: int, buffer_kib: int, folders: list[str]) -> None:
    # The web process decides when to stop, by closing the pipe, so that queued jobs are still answered.
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
    _signal.signal(_signal.SIGHUP, _signal.SIG_IGN)
    posix.nice(nice)  # relative to the server: an absolute value can raise the priority, which needs root
    sys.path[:0] = folders
    hasher = Hasher(buffer_kib)
    channel = _socket.socket(fileno=0)
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while True:
        if hasher.dirty and not poll.poll(IDLE_MS):
            hasher.release_buffer()
        job = channel.recv(65536)
        if not job:
            return
        try:
            channel.send(hasher.hash(job))
        except OSError:  # the web process has ended in the meantime
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
