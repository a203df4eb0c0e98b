"""Argon2id worker process: one job a message on file descriptor 0, answers in order, leaves at end of file.

Job: u32 memory KiB, u32 passes, u32 lanes, u8 tag length, u8 salt length, salt, password. Answer: the tag, or ``!`` and
Argon2's error number. Started by :mod:`.pool` as ``python -I -S worker.py NICE KEPT_KIB FOLDER…`` - it imports nothing
of ours, so it costs some 6 MiB and starts in a few dozen milliseconds.

Jobs of the usual size share one buffer in huge pages that is neither given back nor wiped between two hashes: page
faults and wiping are a tenth of a hash's time and more. It is given back (and so wiped) after ``IDLE_MS`` of silence,
and left out of core dumps.
"""

from __future__ import annotations

# The C modules themselves: what Python wraps around them (enumerations, selectors, typing) takes 4 MiB in each worker.
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
    """Argon2id with one kept buffer of ``kept_kib``."""

    def __init__(self, kept_kib: int) -> None:
        from _argon2_cffi_bindings import ffi, lib

        self._ffi, self._lib = ffi, lib
        self._kept_kib = kept_kib
        self._area: mmap.mmap | None = None
        self._wipe: Any = None
        self._callbacks: tuple[Any, Any] = (ffi.NULL, ffi.NULL)
        self.dirty = False
        self._keep()

    def _keep(self) -> None:
        """Sets the kept buffer up; without it every hash allocates and wipes memory of its own."""
        import ctypes

        import _argon2_cffi_bindings._ffi as native

        ffi = self._ffi
        try:
            wipe = ctypes.c_int.in_dll(ctypes.CDLL(native.__file__), "FLAG_clear_internal_memory")
        except (OSError, ValueError):  # the symbol is hidden in this build
            return
        area = mmap.mmap(-1, self._kept_kib * 1024, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for advice in ("MADV_HUGEPAGE", "MADV_DONTDUMP"):
            if hasattr(mmap, advice):
                try:
                    area.madvise(getattr(mmap, advice))
                except OSError:  # a kernel without huge pages
                    continue
        base = ffi.cast("uint8_t *", ffi.from_buffer(area))

        @ffi.callback("int(uint8_t **, size_t)")  # type: ignore[untyped-decorator]
        def allocate(where: Any, _size: int) -> int:
            where[0] = base
            return 0

        @ffi.callback("void(uint8_t *, size_t)")  # type: ignore[untyped-decorator]
        def free(_where: Any, _size: int) -> None:
            return None

        self._area, self._wipe, self._callbacks = area, wipe, (allocate, free)

    def hash(self, job: bytes) -> bytes:
        """The answer to a job's message."""
        ffi = self._ffi
        memory, passes, lanes, tag_length, salt_length = HEADER.unpack_from(job)
        salt = job[HEADER.size : HEADER.size + salt_length]
        password = job[HEADER.size + salt_length :]
        reuse = self._area is not None and memory == self._kept_kib
        allocate, free = self._callbacks if reuse else (ffi.NULL, ffi.NULL)
        if self._wipe is not None:
            self._wipe.value = 0 if reuse else 1
        out = ffi.new("uint8_t[]", tag_length)
        held_password, held_salt = ffi.new("uint8_t[]", password), ffi.new("uint8_t[]", salt)
        context = ffi.new(
            "argon2_context *",
            {
                "out": out,
                "outlen": tag_length,
                "pwd": held_password,
                "pwdlen": len(password),
                "salt": held_salt,
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

    def rest(self) -> None:
        """Gives the kept buffer's pages back; what comes instead is zero."""
        if self._area is not None:
            self._area.madvise(mmap.MADV_DONTNEED)
        self.dirty = False


def main(nice: int, kept_kib: int, folders: list[str]) -> None:
    # The web process decides when to stop: the end of the pipe is the signal, so that what is queued is still answered.
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
    posix.nice(nice)  # from where the server stands: an absolute value may be a rise, which only root is allowed
    sys.path[:0] = folders
    hasher = Hasher(kept_kib)
    channel = _socket.socket(fileno=0)
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while True:
        if hasher.dirty and not poll.poll(IDLE_MS):
            hasher.rest()
        job = channel.recv(65536)
        if not job:
            return
        channel.send(hasher.hash(job))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
