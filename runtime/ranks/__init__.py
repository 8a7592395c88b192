"""Training by several processes that a launcher such as ``mpiexec`` starts: see `communicator`."""
