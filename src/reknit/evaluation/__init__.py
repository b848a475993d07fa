"""Retrieval quality of any model that encodes: collections, baselines, metrics, significance, verdict."""
