"""Memory of devices: how much a run will take, and what is done when it is not there."""
