"""Skerry: an image service for edge clouds. See docs/design.md for the words and the structure."""

__version__ = "0.1.0"
