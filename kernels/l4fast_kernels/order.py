"""Values -> the same in order. Numba's own way makes a list, which needs numba's runtime."""

from l4fast_kernels.jit import kernel


@kernel
def sort(values, n):
    """Put the first ``n`` values in ascending order, in place (Shell 1959)."""
    gap = n // 2
    while gap > 0:
        for i in range(gap, n):
            value = values[i]
            at = i
            while at >= gap and values[at - gap] > value:
                values[at] = values[at - gap]
                at -= gap
            values[at] = value
        gap //= 2
