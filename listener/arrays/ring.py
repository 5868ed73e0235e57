"""The newest points of a signal. Pure.

Twice as long as what is kept, so that the newest always lie in one piece, and are moved rarely.
"""

import numpy as np
from numpy.typing import NDArray


class Ring:
    def __init__(self, length: int) -> None:
        self.length = length
        self.total = 0  # that ever came
        self._points = np.empty((2, 2 * length), np.float64)
        self._end = 0

    def add(self, x: float, y: float) -> None:
        if self._end == self._points.shape[1]:
            self._move(self._points, self.length)
        self._points[0, self._end] = x
        self._points[1, self._end] = y
        self._end += 1
        self.total += 1

    def newest(self, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As many as there are, where they lie: what is kept beyond the moment is to be copied."""
        begin = max(0, self._end - min(count, self.length))
        return self._points[0, begin : self._end], self._points[1, begin : self._end]

    def grow(self, length: int) -> None:
        """It never shrinks."""
        if length > self.length:
            before, self.length = min(self.length, self._end), length
            self._move(np.empty((2, 2 * length), np.float64), before)

    def _move(self, to: NDArray[np.float64], count: int) -> None:
        to[:, :count] = self._points[:, self._end - count : self._end].copy()
        self._points = to
        self._end = count
