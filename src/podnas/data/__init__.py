"""Archive to field: sources, weekly means, coarsening."""
