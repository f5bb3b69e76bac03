"""What the pack takes in time and memory, beside the floors and what else there is: `python tests/bench`."""
