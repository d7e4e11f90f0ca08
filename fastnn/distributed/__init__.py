"""Training of one network by several processes, which communicate by MPI."""
