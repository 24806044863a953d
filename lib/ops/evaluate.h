#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// One node during reference execution on host tensors. Inputs were shape-checked by `infer`; what depends on data
/// (indices, divisors) is checked by `evaluate` itself: fail() throws Error(bad_data) that names node and op.
class EvaluateContext {
 public:
  EvaluateContext(const Node& node, std::vector<const Tensor*> inputs)
      : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs.size()) {}

  const Node& node() const { return node_; }
  int version() const { return node_.version; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  bool has_output(size_t i) const { return node_.has_output(i); }
  const Tensor& input(size_t i) const { return *inputs_[i]; }

  void set(size_t output, Tensor tensor) { outputs_[output] = std::move(tensor); }
  std::vector<Tensor>& outputs() { return outputs_; }

  /// Attribute `attribute` before version `input_since`, input i from it on; nothing where it is absent.
  std::optional<std::vector<int64_t>> integers_from(std::string_view attribute, size_t i, int input_since) const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  const Node& node_;
  std::vector<const Tensor*> inputs_;
  std::vector<Tensor> outputs_;
};

}  // namespace espalier
