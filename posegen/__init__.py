"""Batches of pictures of people in chosen poses, and how well they came out."""

__version__ = "0.1.0"
