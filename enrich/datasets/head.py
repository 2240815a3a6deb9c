"""A procedural head without its skull: which tissue lies where, and how each looks in four MR sequences.

Coordinates are millimetres in the LPS frame, x to the patient's left, y to the back, z to the head, from the brain's
middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from enrich.datasets.shapes import Floats, Point, Waves, ellipsoid


class Tissue(IntEnum):
    """What a sample of the head may be made of."""

    AIR = 0
    WHITE = auto()
    GREY = auto()
    FLUID = auto()
    EDEMA = auto()
    ENHANCING = auto()
    NECROSIS = auto()


SIGNALS = {
    "flair": {
        Tissue.WHITE: 330,
        Tissue.GREY: 420,
        Tissue.FLUID: 70,
        Tissue.EDEMA: 760,
        Tissue.ENHANCING: 640,
        Tissue.NECROSIS: 500,
    },
    "t1": {
        Tissue.WHITE: 560,
        Tissue.GREY: 430,
        Tissue.FLUID: 150,
        Tissue.EDEMA: 490,
        Tissue.ENHANCING: 480,
        Tissue.NECROSIS: 400,
    },
    "t1ce": {
        Tissue.WHITE: 570,
        Tissue.GREY: 450,
        Tissue.FLUID: 150,
        Tissue.EDEMA: 430,
        Tissue.ENHANCING: 980,
        Tissue.NECROSIS: 330,
    },
    "t2": {
        Tissue.WHITE: 300,
        Tissue.GREY: 420,
        Tissue.FLUID: 950,
        Tissue.EDEMA: 640,
        Tissue.ENHANCING: 520,
        Tissue.NECROSIS: 780,
    },
}
"""The edema is faint in T1, between grey and white matter, and brightest of all in FLAIR; only T1ce shows the rim."""


@dataclass(frozen=True)
class Head:
    """The shape of one patient.

    Attributes:
        radii_mm: half axes of the brain.
        tumour_mm: centre of the tumour.
        extent_mm: mean radius of edema, of the enhancing rim and of the necrosis in it.
        ventricles: size of the ventricles, 1 on the average.
        bend: a smooth displacement of all anatomy along each axis.
        folds: waves of the cortex.
        growth: waves of the tumour's borders.
    """

    radii_mm: Point
    tumour_mm: Point
    extent_mm: Point
    ventricles: float
    bend: tuple[Waves, Waves, Waves]
    folds: Waves
    growth: Waves

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Head:
        """Draw a patient; the tumour lies in the white matter of either half."""
        rim = generator.uniform(13, 18)
        side = generator.choice([-1, 1])
        return cls(
            radii_mm=(generator.uniform(64, 69), generator.uniform(80, 86), generator.uniform(62, 67)),
            tumour_mm=(side * generator.uniform(26, 34), generator.uniform(-32, 32), generator.uniform(0, 24)),
            extent_mm=(rim + generator.uniform(8, 13), rim, rim * generator.uniform(0.45, 0.65)),
            ventricles=generator.uniform(0.85, 1.2),
            bend=(
                Waves.draw(generator, (80, 180)),
                Waves.draw(generator, (80, 180)),
                Waves.draw(generator, (80, 180)),
            ),
            folds=Waves.draw(generator, (16, 28), 8),
            growth=Waves.draw(generator, (22, 50), 6),
        )

    def tissues(self, x: Floats, y: Floats, z: Floats) -> NDArray[np.uint8]:
        """Return the `Tissue` at coordinates that broadcast; later ones displace earlier ones."""
        x, y, z = x + 5 * self.bend[0](x, y, z), y + 5 * self.bend[1](x, y, z), z + 5 * self.bend[2](x, y, z)
        tissue = np.zeros(x.shape, np.uint8)
        radius = np.sqrt(ellipsoid(x, y, z, (0, 0, 0), self.radii_mm))
        folds = self.folds(x, y, z)
        brain = radius < 1
        tissue[brain] = Tissue.FLUID
        tissue[brain & (radius < 0.96 + 0.16 * folds)] = Tissue.GREY
        tissue[brain & (radius < 0.83 + 0.42 * folds)] = Tissue.WHITE
        tissue[brain & (np.abs(x) < 1.5) & (radius > 0.55) & (z > -10)] = Tissue.FLUID
        for side in (-1, 1):
            nucleus = ellipsoid(x, y, z, (side * 22.0, 2, 4), (9, 20, 13)) < 1
            tissue[brain & nucleus] = Tissue.GREY
            size = self.ventricles
            bow = x - side * (9 + 0.006 * (y + 6) ** 2)
            tissue[brain & (ellipsoid(bow, y, z, (0, -2, 16), (6 * size, 34 * size, 13 * size)) < 1)] = Tissue.FLUID
        tissue[brain & (ellipsoid(x, y, z, (0, 4, -4), (2.5, 14, 12)) < 1)] = Tissue.FLUID
        distance = np.sqrt(ellipsoid(x, y, z, self.tumour_mm, (1, 1, 1)))
        uneven = 9 * self.growth(x, y, z)
        for kind, extent in zip((Tissue.EDEMA, Tissue.ENHANCING, Tissue.NECROSIS), self.extent_mm, strict=True):
            inside = brain & (distance + uneven < extent)
            tissue[inside & (tissue != Tissue.FLUID) if kind is Tissue.EDEMA else inside] = kind
            uneven = 0.6 * uneven
        return tissue
