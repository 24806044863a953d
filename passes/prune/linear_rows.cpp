#include "passes/prune/linear_rows.h"

namespace espalier {

LinearRows::LinearRows(const Node& node, Dims x, const Dims& w, const Dims& y) : conv_(node.op_type == "Conv") {
  if (!conv_) {
    transposed_ = node.op_type == "Gemm" && node.get<int64_t>("transB", 0) != 0;
    axis_ = static_cast<int>(y.size()) - 1;
    inputs_ = w[transposed_ ? 1 : 0];
    outputs_ = w[transposed_ ? 0 : 1];
    batch_ = element_count(y) / outputs_;
    check(inputs_ == x.back() && batch_ == element_count(x) / inputs_, "a product's rows are those of its output");
    return;
  }
  groups_ = node.get<int64_t>("group", 1);
  outputs_ = w[0] / groups_;
  channels_ = w[1];
  batch_ = x[0];
  in_.assign(x.begin() + 2, x.end());
  out_.assign(y.begin() + 2, y.end());
  window_ = resolve(read_window(node, in_.size(), Dims(w.begin() + 2, w.end())), in_);
  taps_ = element_count(window_.kernel);
  inputs_ = channels_ * taps_;
  plane_ = element_count(out_);
  in_plane_ = element_count(in_);
}

void LinearRows::read(std::span<const float> x, int64_t position, int64_t group, std::span<double> row) const {
  if (!conv_) {
    for (int64_t i = 0; i < inputs_; ++i) row[static_cast<size_t>(i)] = static_cast<double>(x[static_cast<size_t>(position * inputs_ + i)]);
    return;
  }
  const int64_t first = (position / plane_ * groups_ + group) * channels_;
  for (int64_t tap = 0; tap < taps_; ++tap) {
    // The input element under the tap, axis by axis from the last one; -1 in the padding.
    int64_t at = 0, stride = 1, left = position % plane_, k = tap;
    for (size_t i = in_.size(); i-- > 0 && at >= 0;) {
      const int64_t p = left % out_[i] * window_.strides[i] - window_.pads_begin[i] + k % window_.kernel[i] * window_.dilations[i];
      at = p >= 0 && p < in_[i] ? at + p * stride : -1;
      left /= out_[i], k /= window_.kernel[i], stride *= in_[i];
    }
    for (int64_t c = 0; c < channels_; ++c) {
      row[static_cast<size_t>(c * taps_ + tap)] = at < 0 ? 0 : static_cast<double>(x[static_cast<size_t>((first + c) * in_plane_ + at)]);
    }
  }
}

int64_t LinearRows::output_at(int64_t position, int64_t channel, int64_t channels) const {
  return (position / plane_ * channels + channel) * plane_ + position % plane_;
}

int64_t LinearRows::weight_at(int64_t group, int64_t input, int64_t output) const {
  return conv_ || transposed_ ? (group * outputs_ + output) * inputs_ + input : input * outputs_ + output;
}

}  // namespace espalier
