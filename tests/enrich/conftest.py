from pathlib import Path

import numpy as np
import pytest

from enrich.scan import Scan
from enrich.volume import Volume

OBLIQUE = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def make_scan(case, modality, *, direction=None, label=True, shape=(6, 40, 30), seed=0):
    """Return a scan of a bright ellipsoid with a target in it, whose voxels are made when read."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    body = z**2 / 4 + y**2 + x**2 < 0.7
    target = (x + 0.3) ** 2 + y**2 + z**2 < 0.1
    noise = np.random.default_rng(seed).normal(0, 5, shape)
    air, flesh, organ = (-1000, 40, 110) if modality == "ct" else (0, 300, 500)
    image = np.rint(np.where(target, organ, np.where(body, flesh, air)) + noise * body).astype(np.float32)
    grid = {"spacing_mm": (1.5, 2.0, 5.0), "origin_mm": (-10.0, 4.0, 7.0)} | (
        {"direction": direction} if direction else {}
    )
    mask = Volume(target.astype(np.uint8) * 2, **grid) if label else None
    return Scan(
        case=case,
        patient=case,
        modality=modality,
        path=Path("raw") / case,
        structures={"liver": (2,), "spleen": (1,)},
        voxels=lambda: (Volume(image, **grid), mask),
        labelled=label,
        window_hu=(-150, 250) if modality == "ct" else None,
    )


@pytest.fixture
def scans():
    """Two CT patients and two MR patients; one of the CTs is stored in another orientation."""
    return [
        make_scan("ct01", "ct", seed=1),
        make_scan("ct02", "ct", seed=2, direction=OBLIQUE),
        *(
            make_scan(case, modality, seed=seed)
            for seed, case in enumerate(["mr01", "mr02"], 3)
            for modality in ["t1", "t2"]
        ),
    ]
