"""Timing: our kernels and other people's tools, in turn, on the same work.

`workload` says what is computed, `peers` who computes it, `worker` is the process that each
of them gets, `turns` lets them run in turn, `result` is what comes of it. The functions are
imported from their modules. This package itself imports nothing: a worker is bound to its
processors before NumPy is loaded, whose threads stay where they were started.
"""
