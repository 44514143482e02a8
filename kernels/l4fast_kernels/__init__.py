"""Arrays in, arrays out: the compiled core of l4fast. Numba compiles it, and is not imported to run it."""
