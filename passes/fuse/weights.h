#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/analysis/infer.h"
#include "lib/graph/graph.h"

namespace espalier::passes {

/// y = scale[c] * x + shift[c] for channel c; vectors of one element stand for all channels.
struct Affine {
  std::vector<double> scale = {1}, shift = {0};
};

/// A Conv, ConvTranspose or Gemm with constant weights whose output channels can be scaled and shifted by changing them.
/// Source: ONNX Conv-11, ConvTranspose-11, Gemm-13.
struct Linear {
  NodeId node = kNone;
  int64_t channels = 0;
  int64_t channel_axis = 1;  ///< of the output
  int64_t rank = 0;          ///< of the output
};

/// The linear node that makes `v`, if `v` is read by `reader` alone, has no name to keep, and the weights are constants.
std::optional<Linear> linear_before(const Graph& graph, const FactTable& facts, ValueId v, NodeId reader,
                                    const std::vector<bool>& captured);

/// Changes weight and bias of the linear node so that it also applies `affine`, and takes out `absorbed`, whose output it
/// then makes. Weights that others read too are copied. A missing bias is added.
void absorb(Graph& graph, const Linear& linear, const Affine& affine, NodeId absorbed);

}  // namespace espalier::passes
