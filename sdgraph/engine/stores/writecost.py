"""What writing a result to disk costs, learnt from the writes so far."""

from __future__ import annotations

_WEIGHT = 0.1
_SMALL_BYTES = 2**16


class WriteCost:
    """Predicts how long a write takes: a fixed part and a part for each byte.

    Used by several threads without a lock; a lost update does no harm to an estimate.
    """

    def __init__(self, fixed_s: float = 3e-4, s_per_byte: float = 2e-9) -> None:
        self.fixed_s = fixed_s
        self.s_per_byte = s_per_byte

    def predict_s(self, nbytes: int) -> float:
        return self.fixed_s + nbytes * self.s_per_byte

    def learn(self, nbytes: int, elapsed_s: float) -> None:
        """Take a write into account. Small ones teach the fixed part, large ones the rate.

        Writes that seem too dear are not made and teach nothing, so one slow write must not decide: it counts as no
        more than twice what was expected.
        """
        counted_s = min(elapsed_s, 2 * self.predict_s(nbytes))
        if nbytes < _SMALL_BYTES:
            self.fixed_s += _WEIGHT * (counted_s - self.fixed_s)
        else:
            self.s_per_byte += _WEIGHT * (max(counted_s - self.fixed_s, 0.0) / nbytes - self.s_per_byte)
