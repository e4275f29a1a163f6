"""An encoder whose malignancy score is known: the mean brightness above lung of what it is shown."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder


@pytest.fixture
def brightness_network() -> NoduleEncoder:
    """Every convolution averages its channels, residual branches are silent: only what is brighter than -200 HU counts.

    -200 HU is 0 on the network's scale, where the first ReLU cuts.
    """
    network = NoduleEncoder((4, 8, 8, 8), stem_stride=1, dropout=0.0)
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv3d):
                inner = "layer" in name and "downsample" not in name
                module.weight.fill_(0.0 if inner else 1.0 / module.weight[0].numel())
                if module.bias is not None:
                    module.bias.zero_()
        network.heads["malignancy"].weight.fill_(100.0)
        network.heads["malignancy"].bias.zero_()
    return network.eval()


@pytest.fixture
def runner(brightness_network: NoduleEncoder) -> EncoderRunner:
    return EncoderRunner((brightness_network,), 32, 1.0, "cpu")
