"""Values in order, as Python's own sort has them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l4fast_kernels import order


@given(st.lists(st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1), max_size=200), st.integers(0, 3))
def test_values_are_put_in_order_and_what_is_behind_them_stays(values, behind):
    array = np.array([*values, *range(behind, 0, -1)], np.int64)
    order.sort(array, len(values))
    assert array.tolist() == [*sorted(values), *range(behind, 0, -1)]
