"""An array that is looked at where it lies: of the file only those pages are in memory that are looked at.

`forget` gives them back; else a process that has read a large array would look as large.
"""

import contextlib
import mmap
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np

from listener.arrays.npy import Header

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORGET: Final = getattr(mmap, "MADV_DONTNEED", None)


class Opened:
    def __init__(self, path: Path, header: Header) -> None:
        self.header = header
        order: Literal["C", "F"] = "F" if header.is_fortran else "C"
        self._map: mmap.mmap | None = None
        with path.open("rb") as file:
            if header.size:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._map is None:
            self.array: NDArray[Any] = np.empty(header.shape, header.dtype, order)
        else:
            self.array = np.ndarray(header.shape, header.dtype, self._map, header.offset, order=order)

    def forget(self) -> None:
        if self._map is not None and _FORGET is not None:
            self._map.madvise(_FORGET)

    def close(self) -> None:
        self.array = np.empty(0)
        if self._map is not None:
            with contextlib.suppress(
                BufferError
            ):  # somebody has a piece of it still, and closes it with that
                self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
