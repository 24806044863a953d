#pragma once

#include <cstdint>
#include <string>

namespace espalier {

// Nets in our text form, as their papers describe them, weights by He's initialisation. Input `x`, output `logits`.

/// ResNet-20 for 32 x 32 images (He et al. 2015, section 4.2): x [batch, 3, 32, 32], 10 classes, projections by 1x1.
std::string resnet20_text();

/// MobileNetV2 (Sandler et al. 2018, table 2) for images of `size` pixels: x [batch, 3, size, size]. `blocks` limits the
/// number of inverted residual blocks (17: the whole net), for quick tests.
std::string mobilenet_v2_text(int64_t size = 224, int64_t classes = 1000, int blocks = 17);

/// LeNet as PyTorch's examples have it: x [batch, 1, 28, 28], two 5x5 convolutions of 32 and 64, 128 hidden units.
std::string lenet_text();

}  // namespace espalier
