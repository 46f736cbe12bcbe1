"""Whether anything that is fitted or chosen has seen what it must not see."""
