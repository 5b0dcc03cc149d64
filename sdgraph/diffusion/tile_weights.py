"""How overlapping tiles are blended, by name. No torch."""

from typing import Literal

TileWeights = Literal["feather", "uniform", "gaussian"]
"""`feather`: rising evenly over the overlap. `uniform`: the mean (Bar-Tal et al. 2023, MultiDiffusion,
arXiv:2302.08113, equation 5). `gaussian`: the more the nearer to a tile's centre (Jimenez 2023, Mixture of Diffusers,
arXiv:2302.02412, section 3.2)."""
