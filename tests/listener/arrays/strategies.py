"""Arrays of all kinds that numpy has."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy


def any_arrays() -> st.SearchStrategy[Any]:
    dtypes: st.SearchStrategy[Any] = st.one_of(
        of_numpy.scalar_dtypes(), of_numpy.nested_dtypes(max_itemsize=200), of_numpy.array_dtypes()
    )
    shapes = of_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    return of_numpy.arrays(dtypes, shapes)
