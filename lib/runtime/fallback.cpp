#include <cstring>

#include "lib/base/error.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/op.h"
#include "lib/runtime/compiler.h"

namespace espalier {
namespace {

/// Runs a node's reference on tensors that view the plan's memory. Allocates: for ops without a fast step only.
class Fallback : public Kernel {
 public:
  Fallback(const Graph& graph, const FactTable& facts, NodeId id) : node_(graph.node(id)), op_(*find_op(node_)) {
    for (size_t i = 0; i < node_.inputs.size(); ++i) {
      if (!node_.has_input(i)) {
        inputs_.emplace_back();
        continue;
      }
      const Type& type = facts.type(node_.inputs[i]);
      inputs_.emplace_back(type.elem_type, *type.known_dims());
      read_.push_back(i < 32 && op_.shape_only_inputs >> i & 1u ? -1 : static_cast<int>(i));
    }
    std::erase(read_, -1);
    for (const ValueId v : node_.outputs) {
      if (v != kNone) bytes_.push_back(byte_count(facts.type(v).elem_type, *facts.type(v).known_dims()));
    }
  }

  void bind(std::span<void* const> args) override {
    check(args.size() == read_.size() + bytes_.size(), "as many addresses as inputs and outputs");
    for (size_t i = 0; i < read_.size(); ++i) {
      Tensor& tensor = inputs_[static_cast<size_t>(read_[i])];
      const auto size = static_cast<size_t>(byte_count(tensor.type(), tensor.dims()));
      tensor = Tensor(tensor.type(), tensor.dims(), {static_cast<const std::byte*>(args[i]), size}, nullptr);
    }
    results_.assign(args.begin() + static_cast<ptrdiff_t>(read_.size()), args.end());
  }

  void run() override {
    std::vector<const Tensor*> inputs;
    for (const Tensor& t : inputs_) inputs.push_back(t.defined() ? &t : nullptr);
    EvaluateContext context(node_, std::move(inputs));
    op_.evaluate(context);
    size_t k = 0;
    for (size_t i = 0; i < node_.outputs.size(); ++i) {
      if (!node_.has_output(i)) continue;
      const auto bytes = context.outputs()[i].bytes();
      check(static_cast<int64_t>(bytes.size()) == bytes_[k], "a result of the size that inference promised: " + node_.where());
      if (!bytes.empty()) std::memcpy(results_[k], bytes.data(), bytes.size());
      ++k;
    }
  }

 private:
  Node node_;
  const Op& op_;
  std::vector<Tensor> inputs_;
  std::vector<int> read_;
  std::vector<int64_t> bytes_;
  std::vector<void*> results_;
};

}  // namespace

std::unique_ptr<Kernel> fallback_kernel(const Graph& graph, const FactTable& facts, NodeId id) {
  return std::make_unique<Fallback>(graph, facts, id);
}

}  // namespace espalier
