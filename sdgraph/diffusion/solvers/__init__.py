"""Solvers: one file per algorithm; `contract` says what a solver is, `table` names them all."""
