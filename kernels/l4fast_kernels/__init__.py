"""Arrays in, arrays out: the compiled core of l4fast. Imports numpy and numba only."""
