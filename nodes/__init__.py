"""The nodes of the pack and everything they are made of."""
