"""Proof that a killed run ends as one that was never stopped: the killing and the comparison."""
