"""Every kernel as its formula in plain NumPy: what to read first, what to run without Numba, what tests compare with.

A file, a function and its arguments have the names that they have in `kernels/`, one folder up; the sentence that
says what a function computes stands there too.
"""
