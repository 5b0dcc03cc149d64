"""Where results are kept: in memory, on disk, and in tiers of both."""
