"""What a graph is: ports, nodes, packs, the registry, checks, and the workflow file. No tensors here."""
