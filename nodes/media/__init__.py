"""Tensors and video files: the only place that touches torch, PIL and av."""
