"""Search algorithms: they know points and losses, nothing of networks."""
