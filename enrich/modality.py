"""The modalities by name, and the names that tables and channels show."""

TITLES = {"ct": "CT", "t1": "T1w", "t2": "T2w", "t1ce": "T1ce", "flair": "FLAIR"}


def is_ct(modality: str) -> bool:
    """Whether intensities are Hounsfield units; every other modality is an MR sequence of arbitrary scale."""
    return modality == "ct"


def title(modality: str) -> str:
    """Return the name that a reader of a table knows, such as `T1w` for `t1`."""
    return TITLES.get(modality, modality)
