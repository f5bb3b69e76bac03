"""The life of one generation: knows no provider, no ComfyUI and no tensors."""
