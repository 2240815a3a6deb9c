"""A procedural abdomen: which tissue lies where, and how each looks in CT and MR.

Coordinates are millimetres in the LPS frame, x to the patient's left, y to the back, z to the head, from the body's
middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from enrich.datasets.shapes import Floats, Point, Waves, ellipse, ellipsoid, segment

BOTTOM_MM, TOP_MM = -95.0, 85.0
"""What a scan covers along z: liver, spleen and kidneys."""


class Tissue(IntEnum):
    """What a sample of the body may be made of."""

    AIR = 0
    FAT = auto()
    MUSCLE = auto()
    LUNG = auto()
    BONE = auto()
    MARROW = auto()
    LIVER = auto()
    LIVER_VESSEL = auto()
    SPLEEN = auto()
    RIGHT_CORTEX = auto()
    RIGHT_MEDULLA = auto()
    LEFT_CORTEX = auto()
    LEFT_MEDULLA = auto()
    STOMACH = auto()
    BOWEL = auto()
    PANCREAS = auto()
    FLUID = auto()
    BLOOD = auto()


ORGANS = {
    "liver": (Tissue.LIVER, Tissue.LIVER_VESSEL),
    "right_kidney": (Tissue.RIGHT_CORTEX, Tissue.RIGHT_MEDULLA),
    "left_kidney": (Tissue.LEFT_CORTEX, Tissue.LEFT_MEDULLA),
    "spleen": (Tissue.SPLEEN,),
}

CT_HU = {
    Tissue.AIR: -1000,
    Tissue.FAT: -100,
    Tissue.MUSCLE: 60,
    Tissue.LUNG: -830,
    Tissue.BONE: 520,
    Tissue.MARROW: 190,
    Tissue.LIVER: 105,
    Tissue.LIVER_VESSEL: 150,
    Tissue.SPLEEN: 118,
    Tissue.RIGHT_CORTEX: 190,
    Tissue.RIGHT_MEDULLA: 150,
    Tissue.LEFT_CORTEX: 190,
    Tissue.LEFT_MEDULLA: 150,
    Tissue.STOMACH: 92,
    Tissue.BOWEL: 45,
    Tissue.PANCREAS: 88,
    Tissue.FLUID: 8,
    Tissue.BLOOD: 160,
}
"""Portal-venous phase. A stomach full of oral contrast and the spleen hardly differ from the liver beside them."""

T1_WATER = {
    Tissue.AIR: 0,
    Tissue.FAT: 15,
    Tissue.MUSCLE: 200,
    Tissue.LUNG: 25,
    Tissue.BONE: 40,
    Tissue.MARROW: 150,
    Tissue.LIVER: 330,
    Tissue.LIVER_VESSEL: 150,
    Tissue.SPLEEN: 200,
    Tissue.RIGHT_CORTEX: 240,
    Tissue.RIGHT_MEDULLA: 180,
    Tissue.LEFT_CORTEX: 240,
    Tissue.LEFT_MEDULLA: 180,
    Tissue.STOMACH: 120,
    Tissue.BOWEL: 165,
    Tissue.PANCREAS: 290,
    Tissue.FLUID: 80,
    Tissue.BLOOD: 110,
}
"""Signal of the water; the liver is brighter than all of its neighbours but fat."""

T1_FAT = {Tissue.FAT: 460, Tissue.MARROW: 110, Tissue.LIVER: 15}
"""Signal of the fat: added to the water's in phase, taken from it out of phase."""

T2 = {
    Tissue.AIR: 0,
    Tissue.FAT: 95,
    Tissue.MUSCLE: 105,
    Tissue.LUNG: 20,
    Tissue.BONE: 20,
    Tissue.MARROW: 130,
    Tissue.LIVER: 140,
    Tissue.LIVER_VESSEL: 230,
    Tissue.SPLEEN: 330,
    Tissue.RIGHT_CORTEX: 370,
    Tissue.RIGHT_MEDULLA: 440,
    Tissue.LEFT_CORTEX: 370,
    Tissue.LEFT_MEDULLA: 440,
    Tissue.STOMACH: 380,
    Tissue.BOWEL: 250,
    Tissue.PANCREAS: 190,
    Tissue.FLUID: 900,
    Tissue.BLOOD: 45,
}
"""Fat is suppressed: muscle and fat around the liver are nearly as dark as the liver."""

HILUM, CAVA = (-30.0, 0.0, 2.0), (-20.0, 20.0, 58.0)
VESSELS: tuple[tuple[Point, Point, float], ...] = (
    (HILUM, (-58, -5, 8), 6.5),
    ((-58, -5, 8), (-98, 20, 2), 4.5),
    ((-58, -5, 8), (-92, -34, 20), 4.5),
    (HILUM, (-12, -48, 26), 4.5),
    ((-12, -48, 26), (34, -50, 32), 3.5),
    (CAVA, (-100, 8, 30), 5.0),
    (CAVA, (-58, -40, 36), 4.5),
    (CAVA, (8, -42, 40), 4.0),
)
"""Portal and hepatic veins inside the liver: start, end, radius in mm."""


def signals(table: dict[Tissue, int], factors: dict[Tissue, float]) -> NDArray[np.float32]:
    """Return a table's signal of every tissue, (tissues,), times a patient's factors; 0 where it has none."""
    return np.array([table.get(tissue, 0) * factors[tissue] for tissue in Tissue], np.float32)


@dataclass(frozen=True)
class Abdomen:
    """The shape of one patient.

    Attributes:
        girth_mm: half axes x, y of the body.
        fat_mm: thickness of the fat below the skin.
        liver: size of the liver, 1 on the average; so the other organs.
        bend: a smooth displacement of all anatomy along each axis.
        loops: centre and radii of each bowel loop.
    """

    girth_mm: tuple[float, float]
    fat_mm: float
    liver: float
    spleen: float
    kidneys: tuple[float, float]
    stomach: float
    bend: tuple[Waves, Waves, Waves]
    loops: tuple[tuple[Point, Point], ...]

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Abdomen:
        """Draw a patient."""
        fat_mm = generator.uniform(10, 22)
        loops = tuple(
            (
                (generator.uniform(-60, 75), generator.uniform(-60, -10), generator.uniform(BOTTOM_MM, -30)),
                (generator.uniform(14, 24), generator.uniform(12, 18), generator.uniform(14, 26)),
            )
            for _ in range(14)
        )
        return cls(
            girth_mm=(fat_mm + generator.uniform(122, 128), fat_mm + generator.uniform(82, 90)),
            fat_mm=fat_mm,
            liver=generator.uniform(0.92, 1.08),
            spleen=generator.uniform(0.85, 1.15),
            kidneys=(generator.uniform(0.9, 1.1), generator.uniform(0.9, 1.1)),
            stomach=generator.uniform(0.85, 1.1),
            bend=(
                Waves.draw(generator, (120, 260)),
                Waves.draw(generator, (120, 260)),
                Waves.draw(generator, (120, 260)),
            ),
            loops=loops,
        )

    def tissues(self, x: Floats, y: Floats, z: Floats) -> NDArray[np.uint8]:
        """Return the `Tissue` at coordinates that broadcast; later organs displace earlier ones."""
        x, y, z = x + 7 * self.bend[0](x, y, z), y + 7 * self.bend[1](x, y, z), z + 8 * self.bend[2](x, y, z)
        tissue = np.zeros(x.shape, np.uint8)
        below = self._trunk(tissue, x, y, z)
        self._upper_organs(tissue, x, y, z, below)
        self._kidneys(tissue, x, y, z)
        self._spine_and_vessels(tissue, x, y, z)
        return tissue

    def _trunk(self, tissue: NDArray[np.uint8], x: Floats, y: Floats, z: Floats) -> NDArray[np.bool_]:
        """Paint body, wall, ribs, lungs and bowel; return what lies in the cavity below the diaphragm."""
        width, depth = self.girth_mm
        wall = ellipse(x, y, (width - self.fat_mm, depth - self.fat_mm), 2.5) < 1
        cavity = ellipse(x, y + 4, (width - self.fat_mm - 11, depth - self.fat_mm - 13), 2.5) < 1
        tissue[ellipse(x, y, (width, depth), 2.4) < 1] = Tissue.FAT
        tissue[wall] = Tissue.MUSCLE
        ribs = ellipse(x, y + 2, (width - self.fat_mm - 3, depth - self.fat_mm - 4), 2.5) < 1
        angle = np.arctan2(y / depth, x / width)
        tissue[ribs & ~cavity & (np.cos(13 * angle + 0.12 * np.abs(z)) > 0.72) & (z > -50)] = Tissue.BONE
        tissue[cavity] = Tissue.FAT
        right = 76 - 42 * ((x + 62) / 75) ** 2 - 30 * ((y + 5) / 85) ** 2
        left = 66 - 42 * ((x - 66) / 66) ** 2 - 30 * ((y + 5) / 85) ** 2
        diaphragm = np.maximum(np.maximum(right, left), 54 - 0.3 * np.abs(y))
        tissue[cavity & (z > diaphragm)] = Tissue.LUNG
        tissue[cavity & (ellipsoid(x, y, z, (16, -32, 96), (46, 36, 44)) < 1)] = Tissue.BLOOD
        below = cavity & (z < diaphragm - 3)
        for centre, radii in self.loops:
            loop = below & (ellipsoid(x, y, z, centre, radii) < 1)
            tissue[loop] = Tissue.BOWEL
            tissue[loop & (y < centre[1] - 0.4 * radii[1]) & (centre[0] > 20)] = Tissue.AIR
        for colon_x, colon_y, colon_top in ((96, 22, 0), (-92, 12, -62)):
            tissue[below & (np.hypot(x - colon_x, y - colon_y) < 15) & (z < colon_top)] = Tissue.BOWEL
            tissue[below & (np.hypot(x - colon_x, y - colon_y + 4) < 6) & (z < colon_top - 6)] = Tissue.AIR
        return below

    def _upper_organs(
        self, tissue: NDArray[np.uint8], x: Floats, y: Floats, z: Floats, below: NDArray[np.bool_]
    ) -> None:
        size = self.spleen
        spleen = ellipsoid(x, y, z, (86, 38, 20), (36 * size, 48 * size, 56 * size)) < 1
        tissue[below & spleen & (ellipsoid(x, y, z, (56, 8, 20), (30, 36, 64)) > 1)] = Tissue.SPLEEN
        tissue[below & (segment(x, y, z, (-18, 2, -12), (58, 14, 8)) < 10)] = Tissue.PANCREAS
        size = self.stomach
        stomach = below & (ellipsoid(x, y, z, (52, -28, 22), (40 * size, 36 * size, 46 * size)) < 1)
        tissue[stomach] = Tissue.STOMACH
        tissue[stomach & (y < -28 - 20 * size)] = Tissue.AIR
        size = self.liver
        right = ellipsoid(x, y, z, (-70, 0, 2), (58 * size, 74 * size, 76 * size))
        left = ellipsoid(x, y, z, (-4, -46, 30), (60 * size, 28 * size, 36 * size))
        liver = below & (np.exp(3 * (1 - right)) + np.exp(3 * (1 - left)) > 1)
        tissue[liver] = Tissue.LIVER
        for start, end, radius in VESSELS:
            tissue[liver & (segment(x, y, z, start, end) < radius)] = Tissue.LIVER_VESSEL
        tissue[below & (ellipsoid(x, y, z, (-46, -40, -36), (15, 20, 24)) < 1)] = Tissue.FLUID

    def _kidneys(self, tissue: NDArray[np.uint8], x: Floats, y: Floats, z: Floats) -> None:
        """Kidneys lean outwards from top to bottom, each in a capsule of fat."""
        sides = (
            (-58, -44, self.kidneys[0], Tissue.RIGHT_CORTEX, Tissue.RIGHT_MEDULLA),
            (60, -32, self.kidneys[1], Tissue.LEFT_CORTEX, Tissue.LEFT_MEDULLA),
        )
        for side, height, size, cortex, medulla in sides:
            outwards = np.sign(side)
            centre = (float(side), 40.0, float(height))
            leaning = x + outwards * 0.18 * (z - height)
            kidney = ellipsoid(leaning, y, z, centre, (27 * size, 30 * size, 52 * size))
            sinus = ellipsoid(leaning, y, z, (side - outwards * 17, 36, height), (17, 11, 24))
            tissue[kidney < 1.3] = Tissue.FAT
            tissue[kidney < 1] = cortex
            tissue[kidney < 0.5] = medulla
            tissue[(kidney < 1) & (sinus < 1)] = Tissue.FAT

    def _spine_and_vessels(self, tissue: NDArray[np.uint8], x: Floats, y: Floats, z: Floats) -> None:
        back = self.girth_mm[1] - self.fat_mm - 42
        for side in (-1, 1):
            tissue[ellipse(x - side * 34, y - back - 19, (27, 19)) < 1] = Tissue.MUSCLE
            tissue[ellipse(x - side * 30, y - back + 6, (13, 17)) < 1] = Tissue.MUSCLE
        tissue[np.hypot(x - 14, y - back + 31) < 10] = Tissue.BLOOD
        tissue[ellipse(x + 20, y - back + 28, (13, 10)) < 1] = Tissue.BLOOD
        tissue[ellipse(x, y - back, (22, 18)) < 1] = Tissue.BONE
        tissue[ellipse(x, y - back, (18.5, 14.5)) < 1] = Tissue.MARROW
        tissue[ellipse(x, y - back - 23, (15, 12)) < 1] = Tissue.BONE
        tissue[(np.abs(x) < 4) & (np.abs(y - back - 40) < 15)] = Tissue.BONE
        tissue[(np.abs(x) < 36) & (np.abs(y - back - 27) < 3.5) & (np.sin(z / 5) > 0)] = Tissue.BONE
        tissue[np.hypot(x, y - back - 23) < 8.5] = Tissue.FLUID
