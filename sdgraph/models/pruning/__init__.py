"""Heads and channels that are cut out of UNets, and put back bit for bit."""
