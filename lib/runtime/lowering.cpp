#include <algorithm>

#include "lib/base/error.h"
#include "lib/kernels/reorder.h"
#include "lib/ops/op.h"
#include "lib/runtime/compiler.h"

namespace espalier {
namespace {

/// One group as its anchor's op sees it.
class Lowering : public LowerContext {
 public:
  Lowering(Compiler& compiler, const Group& group)
      : c_(compiler), group_(group), facts_(compiler.facts().context(compiler.graph(), group.anchor)) {}

  const Node& node() const override { return c_.graph().node(group_.anchor); }
  const InferContext& facts() const override { return facts_; }
  const Fusion& fusion() const override { return group_.fusion; }
  bool training() const override { return c_.has_backward(group_.anchor); }
  bool is_weight(size_t input) const override { return c_.is_weight(group_.inputs[input]); }

  Layout layout(size_t input) const override { return c_.layout_of(group_.inputs[input]); }
  Operand read(size_t input) override { return {c_.read(group_.inputs[input], layout(input))}; }
  Operand read(size_t input, const Layout& as) override { return {c_.read(group_.inputs[input], as)}; }
  Operand residual(const Layout& as) override { return {c_.read(group_.residual, as)}; }
  Operand mask(const Layout& as) override { return {c_.read(group_.mask, as)}; }

  Operand bias() override { return {c_.read(group_.bias, Layout::plain(DataType::float32, *c_.facts().type(group_.bias).known_dims()))}; }

  Operand write(size_t output, const Layout& as) override { return {c_.write(value(output), as)}; }
  Operand write_over(size_t output, Operand input, const Layout& as) override {
    return {c_.write_over(value(output), input.buffer, as)};
  }
  void alias(size_t output, size_t input, const Layout& as) override {
    c_.alias(value(output), group_.inputs[input], as);
  }
  Operand write_over_residual(const Layout& as) override {
    const Operand from = residual(as);
    const Operand to = write_over(0, from, as);
    if (to.buffer != from.buffer) c_.step(reorder(as, as), {from.buffer, to.buffer});
    return to;
  }
  Operand scratch(size_t bytes) override { return {c_.program.add_buffer(bytes)}; }

  Operand keep(size_t bytes) override {
    const int buffer = c_.program.add_buffer(bytes);
    auto& kept = c_.kept[group_.anchor];
    kept.buffer = buffer;
    return {buffer};
  }
  void keep_hint(ForwardHint hint) override { c_.kept[group_.anchor].hint = std::move(hint); }
  std::optional<Operand> kept() const override {
    const auto found = c_.kept.find(node().forward_of);
    if (found == c_.kept.end() || !found->second.buffer) return std::nullopt;
    return Operand{*found->second.buffer};
  }
  ForwardHint hint() const override {
    const auto found = c_.kept.find(node().forward_of);
    return found == c_.kept.end() ? nullptr : found->second.hint;
  }

  void step(Primitive primitive, std::vector<Operand> args) override { c_.step(std::move(primitive), buffers(args)); }
  void step(std::unique_ptr<Kernel> kernel, std::vector<Operand> args, std::string implementation) override {
    c_.step(std::move(kernel), buffers(args), implementation);
  }

 private:
  ValueId value(size_t output) const {
    if (output == 0) return group_.result;
    return node().outputs[output];
  }
  static std::vector<int> buffers(const std::vector<Operand>& operands) {
    std::vector<int> result;
    for (const Operand& o : operands) result.push_back(o.buffer);
    return result;
  }

  Compiler& c_;
  const Group& group_;
  InferContext facts_;
};

/// A node whose output is its input's memory: Reshape, Flatten, Identity ...
bool lower_view(Compiler& c, const Group& group, const Node& node) {
  const ValueId in = group.inputs[0], out = group.result;
  const Dims dims = *c.facts().type(out).known_dims();
  const Layout layout = c.layout_of(in);
  if (node.outputs.size() != 1) return false;
  // The elements keep their order whatever the form, so the layout's own dims may stay as they are.
  const auto own = layout.reshaped(dims);
  c.alias(out, in, own ? *own : layout);
  return true;
}

/// Nothing to make, or sums of nothing: kernels divide by sizes, the reference loops over them.
bool is_without_elements(const Compiler& c, const Node& node) {
  const auto empty = [&](ValueId v) {
    const auto dims = v == kNone ? std::nullopt : c.facts().type(v).known_dims();
    return dims && element_count(*dims) == 0;
  };
  return (!node.inputs.empty() && empty(node.inputs[0])) || std::any_of(node.outputs.begin(), node.outputs.end(), empty);
}

}  // namespace

bool lower_anchor(Compiler& compiler, const Group& group) {
  const Node& node = compiler.graph().node(group.anchor);
  const Op* op = find_op(node);
  if (op->is_view) return lower_view(compiler, group, node);
  if (!op->lower || is_without_elements(compiler, node)) return false;
  Lowering lowering(compiler, group);
  return op->lower(lowering);
}

}  // namespace espalier
