"""The encoder of an nnU-Net that was trained on real scans: a backbone that needs no file from elsewhere."""

from pathlib import Path

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image

from enrich.features.backbone import Features, device
from enrich.nnunet.predict import load
from enrich.translations import Picture


class Segmenter:
    """Features of the frozen encoder of a Single model: the mean over the voxels of its deepest stage.

    A scan is preprocessed as nnU-Net does, as if it were a real one, and cut into nnU-Net's own windows, which overlap
    only as far as they must: of the configuration 2d every slice, or parts of one; of 3d_fullres 3-D patches. Each is
    a sample. The network has learned to find the target, so that the distance is not independent of the S-score. There
    is one network for each target modality, so that figures are comparable between methods, not between modalities.
    """

    def __init__(self, weights: Path) -> None:
        """Load `…/fold_<fold>/checkpoint_final.pth`.

        Raises:
            InputError: no such file.
        """
        self.predictor = load([weights])
        self.predictor.tile_step_size = 1
        self.encoder = self.predictor.network.to(device()).eval().encoder

    @torch.inference_mode()
    def __call__(self, picture: Picture) -> Features:
        """Return the features of every window, (N, channels of the deepest stage)."""
        configuration, plans = self.predictor.configuration_manager, self.predictor.plans_manager
        preprocessor = configuration.preprocessor_class(verbose=False)
        facts = {"spacing": list(picture.scan.spacing_mm[::-1])}
        array = picture.scan.array[None].astype(np.float32)
        data, _, _ = preprocessor.run_case_npy(array, None, facts, plans, configuration, self.predictor.dataset_json)
        data = pad_nd_image(torch.from_numpy(data), configuration.patch_size, "constant", {"value": 0})
        windows = self.predictor._internal_get_sliding_window_slicers(data.shape[1:])
        found = [self.encoder(data[window][None].to(device()))[-1].flatten(2).mean(dim=2) for window in windows]
        features: Features = torch.cat(found).float().cpu().numpy()
        return features
