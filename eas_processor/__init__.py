"""A self-hosted runtime for EAS-style model processors.

Imported on both sides of the wall, so it stays Python 3.6-clean and imports nothing.
"""

__version__ = "0.1.0"
