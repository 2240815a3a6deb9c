"""The backbones of Fréchet and kernel distance, by name: frozen networks that turn a scan into features."""

from collections.abc import Callable
from pathlib import Path

from enrich.features.backbone import Backbone
from enrich.features.models_genesis import ModelsGenesis
from enrich.features.planar import Inception, RadImageNet
from enrich.features.segmenter import Segmenter

BACKBONES: dict[str, Callable[[Path], Backbone]] = {
    "segmenter": Segmenter,
    "inception": Inception,
    "radimagenet": RadImageNet,
    "models_genesis": ModelsGenesis,
}
