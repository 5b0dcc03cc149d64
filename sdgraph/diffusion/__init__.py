"""Sampling mathematics: noise schedules, sigmas, solvers, guidance, stages, tiles.

Tensors in, tensors out: nothing here knows a graph, a file or where weights live. All samplers work in the
variance-exploding convention `x = x0 + sigma * noise`. The modules `guidance_schedule` and `stages` are plain data and
do not import torch, so a workflow can be checked and planned without it.
"""
