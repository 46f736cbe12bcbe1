"""Many processes: MPI ranks that search together, and workers that evaluate."""
