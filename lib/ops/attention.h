#pragma once

#include "lib/ops/evaluate.h"

namespace espalier {

/// softmax(scale Q K^T, capped, plus mask) V as ONNX Attention-23 defines it, on one node's tensors, all in double.
/// Query head h reads key and value head h / (query heads / key heads).
class AttentionMaths {
 public:
  /// Reads inputs 0 .. 5 (Q, K, V, mask, past key, past value). Fails where sizes do not fit together.
  explicit AttentionMaths(const EvaluateContext& context);

  int64_t batch, heads, kv_heads, queries, keys, head_size, value_size;  ///< keys: past ones included
  Tensor q, k, v;                                                       ///< [batch, heads, length, size]
  Tensor scores, probabilities;  ///< [batch, heads, queries, keys]; scores as qk_matmul_output_mode asks
  double scale, softcap;

  Tensor output() const;  ///< [batch, heads, queries, value_size]
  /// Gradients of q, k, v (past included) for that of the output and, where given, of `scores`, and of what was added to the
  /// scores, [batch, heads, queries, keys].
  struct Gradients {
    Tensor q, k, v, bias;
  };
  Gradients gradients(const Tensor& dy, const Tensor* dscores = nullptr) const;
  /// The gradient of a float mask, which input 3 is: that of what was added, summed where the mask was broadcast.
  Tensor mask_gradient(const Tensor& bias) const;
  int64_t past() const { return past_; }
  /// 4-D to the form of a 3-D input, [batch, length, heads * size], where the node has that form.
  Tensor as_given(const Tensor& x) const { return flat_ ? merged(x) : x; }
  Tensor split(const Tensor& x, int64_t heads_of_x) const;  ///< the reverse, in double

 private:
  static Tensor merged(const Tensor& x);
  void attend();
  double bias(int64_t b, int64_t h, int64_t i, int64_t j) const;
  const double* row(const Tensor& x, int64_t b, int64_t h, int64_t i) const;

  bool flat_, causal_;
  int64_t past_ = 0, mode_;
  Tensor mask_, capped_;  // mask: double, -infinity where a position is out
  Dims mask_strides_;
};

}  // namespace espalier
