"""Kernel programmes as text: Numba, and plain NumPy."""
