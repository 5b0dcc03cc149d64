"""Weights and where they live: sources, handles, loading, the pool, and what runs on a loaded model.

Importing these modules is light; torch, diffusers and transformers are imported when weights are really needed.
"""
