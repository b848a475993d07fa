"""The version, where every part can read it without importing the package's front."""

__version__ = "0.2.0"
