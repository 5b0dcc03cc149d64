"""Guiders beyond plain classifier-free guidance, one per file; `build` makes them from their specs."""
