#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/host_value.h"

namespace espalier {

/// Runs the body in attribute `attribute` of the node on the values of its inputs; what the body reads from outside is known
/// to whoever evaluates. Returns one value a body output.
using RunBody = std::function<std::vector<HostValue>(std::string_view attribute, const std::vector<HostValue>& inputs)>;

/// One node during reference execution on host tensors. Inputs were shape-checked by `infer`; what depends on data
/// (indices, divisors) is checked by `evaluate` itself: fail() throws Error(bad_data) that names node and op.
class EvaluateContext {
 public:
  EvaluateContext(const Node& node, std::vector<const Tensor*> inputs)
      : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs.size()) {}
  /// For nodes that have bodies, or read or make sequences and optionals, too.
  EvaluateContext(const Node& node, std::vector<const HostValue*> inputs);

  const Node& node() const { return node_; }
  int version() const { return node_.version; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && (inputs_[i] || (i < values_.size() && values_[i])); }
  bool has_output(size_t i) const { return node_.has_output(i); }
  const Tensor& input(size_t i) const { return inputs_[i] ? *inputs_[i] : fail_kind(i); }
  /// Input i of any kind.
  HostValue value(size_t i) const { return i < values_.size() && values_[i] ? *values_[i] : HostValue(*inputs_[i]); }

  void set(size_t output, Tensor tensor) { outputs_[output] = std::move(tensor); }
  void set_value(size_t output, HostValue value);
  std::vector<Tensor>& outputs() { return outputs_; }
  /// Output i of any kind; not defined where nothing was set.
  HostValue result(size_t i) const;

  /// See RunBody. Throws Error(bad_data) where the body does not make as many values as it has outputs.
  std::vector<HostValue> run_body(std::string_view attribute, const std::vector<HostValue>& inputs) const;
  void set_run_body(RunBody run_body) { run_body_ = std::move(run_body); }

  /// Attribute `attribute` before version `input_since`, input i from it on; nothing where it is absent.
  std::optional<std::vector<int64_t>> integers_from(std::string_view attribute, size_t i, int input_since) const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  [[noreturn]] const Tensor& fail_kind(size_t i) const;

  const Node& node_;
  std::vector<const Tensor*> inputs_;     // nullptr where omitted, or no tensor
  std::vector<const HostValue*> values_;  // empty where all inputs are tensors
  std::vector<Tensor> outputs_;
  std::vector<HostValue> others_;         // outputs that are no tensors; empty where all are
  RunBody run_body_;
};

}  // namespace espalier
