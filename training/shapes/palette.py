"""The colours of the shapes world as sRGB triples, and distances between them as the eye sees them (CIE Lab)."""

from __future__ import annotations

from functools import cache

import numpy as np

Rgb = tuple[int, int, int]

PALETTE: dict[str, Rgb] = {
    "red": (220, 30, 35),
    "green": (40, 160, 60),
    "blue": (35, 70, 220),
    "yellow": (250, 220, 30),
    "orange": (250, 135, 20),
    "purple": (130, 45, 170),
    "black": (15, 15, 15),
    "white": (250, 250, 250),
    "cyan": (30, 205, 225),
    "pink": (255, 130, 190),
    "grey": (128, 128, 128),
}


def object_rgb(colour: str) -> Rgb:
    """The colour of a plain object."""
    return PALETTE[colour]


def stripe_rgb(colour: str) -> Rgb:
    """The second tone of a striped object: a darker shade, and a lighter one for black."""
    if colour == "black":
        return (105, 105, 105)
    red, green, blue = PALETTE[colour]
    return (round(red * 0.55), round(green * 0.55), round(blue * 0.55))


def background_rgb(name: str) -> Rgb:
    """The colour of a background such as "blue", "light grey" or "dark green"."""
    shade, _, colour = name.rpartition(" ")
    values = np.array(PALETTE[colour], dtype=np.float64)
    if shade == "light":
        values = values + 0.62 * (255.0 - values)
    elif shade == "dark":
        values = values * 0.5
    red, green, blue = (round(float(value)) for value in values)
    return (red, green, blue)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB in 0..255, shape [..., 3], to CIE Lab (D65), shape [..., 3]."""
    unit = rgb.astype(np.float64) / 255.0
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883])
    curve = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    x, y, z = curve[..., 0], curve[..., 1], curve[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


@cache
def lab_distance(first: Rgb, second: Rgb) -> float:
    """Euclidean distance in CIE Lab (the 1976 colour difference) of two sRGB colours."""
    lab = rgb_to_lab(np.array([first, second]))
    return float(np.linalg.norm(lab[0] - lab[1]))
