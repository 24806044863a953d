#pragma once

#include <cstdint>
#include <span>

#include "lib/graph/node.h"
#include "lib/ops/window.h"

namespace espalier {

/// A Conv, Gemm or MatMul with a constant weight as a linear regression: each output position is a row, what the weight
/// multiplies there are its inputs, the channels its outputs. A grouped Conv is one regression a group.
class LinearRows {
 public:
  /// x, w, y: sizes of input, weight and output of the node, which is one of these ops, as ONNX defines it, with the
  /// weight as second input (Gemm: transA 0; MatMul: a weight of two axes).
  LinearRows(const Node& node, Dims x, const Dims& w, const Dims& y);

  int64_t groups() const { return groups_; }
  int64_t inputs() const { return inputs_; }    ///< of one group
  int64_t outputs() const { return outputs_; }  ///< of one group
  int64_t positions() const { return batch_ * plane_; }
  int channel_axis() const { return axis_; }    ///< of y

  /// What the weights of a group multiply at a position; inputs() numbers. x: row-major.
  void read(std::span<const float> x, int64_t position, int64_t group, std::span<double> row) const;
  /// Element of an output of `channels` channels, whose other sizes are y's.
  int64_t output_at(int64_t position, int64_t channel, int64_t channels) const;
  /// Element of the weight.
  int64_t weight_at(int64_t group, int64_t input, int64_t output) const;

 private:
  bool conv_ = false, transposed_ = false;
  int axis_ = 1;
  int64_t groups_ = 1, inputs_ = 0, outputs_ = 0, batch_ = 1, plane_ = 1;
  // Conv: spatial sizes, their window, and channels a group.
  Dims in_, out_;
  Window window_;
  int64_t channels_ = 0, taps_ = 1, in_plane_ = 1;
};

}  // namespace espalier
