"""The metrics as tables and figures name them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from enrich.tables.layout import ABSENT


@dataclass(frozen=True)
class Metric:
    """A metric: its name with its unit, whether higher is better (None: neither), and how many decimals are printed."""

    name: str
    higher: bool | None
    decimals: int = 2

    @property
    def header(self) -> str:
        """The name as the header of a column, ↑ where higher is better, ↓ where lower is."""
        return self.name if self.higher is None else f"{self.name} {'↑' if self.higher else '↓'}"

    def best(self, means: Iterable[float]) -> float:
        """Return the best of some means as printed, those that are NaN left out; NaN if nothing is better or worse."""
        rounded = [round(mean, self.decimals) for mean in means if not math.isnan(mean)]
        if not rounded or self.higher is None:
            return math.nan
        return max(rounded) if self.higher else min(rounded)

    def text(self, value: float) -> str:
        """Return a value as printed."""
        return "∞" if math.isinf(value) else f"{value:.{self.decimals}f}".replace("-", "−")

    def spread(self, mean: float, std: float, seed_std: float = math.nan) -> str:
        """Return a mean as printed, ± its deviation over patients and in brackets that over seeds where they are."""
        if math.isnan(mean):
            return ABSENT
        over_patients = "" if math.isnan(std) else f" ± {self.text(std)}"
        over_seeds = "" if math.isnan(seed_std) else f" [{self.text(seed_std)}]"
        return f"{self.text(mean)}{over_patients}{over_seeds}"


def signed(value: float, decimals: int = 2) -> str:
    """Return a difference as printed, with its sign."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def p_text(p: float) -> str:
    """Return a p-value as printed: enough digits to tell on which side of 0.05 it lies."""
    return "< 0.0001" if p < 1e-4 else f"{p:.3g}"


METRIC = {
    "dice_percent": Metric("DICE (%)", higher=True),
    "ravd_percent": Metric("RAVD (%)", higher=False),
    "assd_mm": Metric("ASSD (mm)", higher=False),
    "mssd_mm": Metric("MSSD (mm)", higher=False),
    "hd95_mm": Metric("HD95 (mm)", higher=False),
    "chaos_score": Metric("CHAOS score", higher=True),
    "slice_dice_percent": Metric("Slice DICE (%)", higher=True),
    "s_score_percent": Metric("S-score (%)", higher=True),
    "psnr_db": Metric("PSNR (dB)", higher=True),
    "ssim": Metric("SSIM", higher=True, decimals=4),
    "mi_nats": Metric("MI (nats)", higher=True, decimals=3),
    "mae_in_target": Metric("MAE in target", higher=False, decimals=4),
    "slice_consistency": Metric("Slice consistency", higher=None, decimals=3),
    "fid": Metric("FID", higher=False, decimals=4),
    "kid": Metric("KID", higher=False, decimals=6),
}
