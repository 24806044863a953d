#pragma once

#include <memory>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Normalisation of float sets that share statistics: y = (x - mean) / sqrt(variance + epsilon) * scale + bias. A set is
/// `segments` runs of `length` neighbours: element i of segment s of set r lies at
/// r / per_sample * sample_stride + r % per_sample * set_stride + s * segment_stride + i.
/// Layer: segments 1. Instance: a set is a plane. Group: a segment is a channel's plane. Over the batch: a segment is a
/// sample's plane.
struct NormProblem {
  int64_t sets, segments, length;
  int64_t per_sample, sample_stride, set_stride, segment_stride;
  bool by_element = false;     ///< scale and bias have one value per element of a set, which is one segment
  bool scale = false, bias = false;  ///< else one per channel: channel (r % per_sample) * segments + s
  bool subtract_mean = true;   ///< otherwise the mean square stands for the variance
  float epsilon = 1e-5f;

  /// Sets that lie one after the other, one segment each.
  static NormProblem rows(int64_t sets, int64_t length);
  /// [samples, groups * together, plane], sets of `together` channels.
  static NormProblem channels(int64_t samples, int64_t groups, int64_t together, int64_t plane);

  int64_t parameters() const { return by_element ? length : per_sample * segments; }
};

/// Arguments: x, [scale], [bias], y (may be x's memory), [mean], [1 / deviation]: one float per set, where asked.
std::unique_ptr<Kernel> normalize(const NormProblem& problem, bool mean, bool inverse);
/// Statistics are computed anew. Arguments: x, [scale], dy, [dx], [dscale], [dbias], where asked.
std::unique_ptr<Kernel> normalize_backward(const NormProblem& problem, bool dx, bool dscale, bool dbias);

}  // namespace espalier
