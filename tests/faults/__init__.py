"""A world in which things go wrong on schedule, and what has to hold in it all the same."""
