"""How a graph runs: keys, the plan, the executor, and the stores that keep results. No tensors here."""
