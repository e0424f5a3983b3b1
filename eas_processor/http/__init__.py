"""Bytes ⇄ requests and answers. Knows nothing of models."""
