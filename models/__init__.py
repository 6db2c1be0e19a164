"""Architectures: images in, logits out. They know no loss, data, trainer or configuration."""
