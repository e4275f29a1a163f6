"""A 3D U-Net that answers as finely as it is asked but works at half of that resolution."""

from __future__ import annotations

from math import log

from monai.networks.nets import DynUNet
from torch import Tensor, nn
from torch.nn import functional


class NoduleUNet(nn.Module):
    """MONAI's DynUNet with a stride of 2 in every stage, and its logits brought back to the input's grid.

    Input (B, C, D, D, D), D a multiple of 16; output (B, 1, D, D, D) logits. Nothing is lost by the first stride: cubes
    are sampled finer than the scan, and a logit is smooth. It makes training and use four times cheaper. With ``norm``
    "batch" an answer does not depend on how much of the scan is seen at once.
    """

    def __init__(
        self, in_channels: int = 2, filters: tuple[int, ...] = (24, 48, 96, 128), norm: str = "instance"
    ) -> None:
        super().__init__()
        self.unet = DynUNet(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=1,
            kernel_size=[3] * len(filters),
            strides=[2] * len(filters),
            upsample_kernel_size=[2] * (len(filters) - 1),
            filters=list(filters),
            norm_name=norm,
        )

    def expect(self, share: float) -> None:
        """Start from the answer that this share of all voxels is nodule, which saves the first epochs.

        Lin TY et al. Focal loss for dense object detection. ICCV 2017 (section 4.1).
        """
        nn.init.constant_(self.unet.output_block.conv.conv.bias, log(share / (1.0 - share)))

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(self.unet(x).float(), x.shape[2:], mode="trilinear", align_corners=False)
