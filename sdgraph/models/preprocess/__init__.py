"""Control pictures from pictures: what runs without weights, in NumPy, and the detectors of controlnet-aux."""
