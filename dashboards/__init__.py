"""Shows what audit found."""
