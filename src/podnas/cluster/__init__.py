"""A cluster and its scheduler: what the site is like, what jobs ask for, when they must end. Decides no result."""
