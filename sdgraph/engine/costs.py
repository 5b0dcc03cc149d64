"""What running a node of each type has cost so far, as a moving average."""

from __future__ import annotations

_WEIGHT = 0.2


class NodeCosts:
    """Average seconds by node type. Written by many threads; a lost update does no harm to an estimate."""

    def __init__(self) -> None:
        self._average_s: dict[str, float] = {}

    def learn(self, node_type: str, elapsed_s: float) -> None:
        known = self._average_s.get(node_type)
        self._average_s[node_type] = elapsed_s if known is None else known + _WEIGHT * (elapsed_s - known)

    def estimate_s(self, node_type: str) -> float | None:
        """The average, or None for a type that has not run yet."""
        return self._average_s.get(node_type)
