#include <algorithm>
#include <map>

#include "lib/base/error.h"
#include "lib/kernels/element.h"
#include "lib/runtime/compiler.h"

namespace espalier {
namespace {

/// [C], [C,1,1] or [N,C,1,1] beside a result of `dims`: the operand with leading 1s, if its only sizes are on axes 0
/// and 1.
std::optional<Dims> beside_channels(const Dims& operand, const Dims& dims) {
  if (dims.size() < 2 || operand.size() > dims.size()) return std::nullopt;
  Dims padded(dims.size() - operand.size(), 1);
  padded.insert(padded.end(), operand.begin(), operand.end());
  if (padded[1] != dims[1] || (padded[0] != 1 && padded[0] != dims[0])) return std::nullopt;
  if (std::any_of(padded.begin() + 2, padded.end(), [](int64_t d) { return d != 1; })) return std::nullopt;
  return padded;
}

Dims broadcast_strides(const Dims& operand, const Dims& dims) {
  const Dims own = row_major_strides(operand);
  Dims strides(dims.size(), 0);
  const size_t lead = dims.size() - operand.size();
  for (size_t i = 0; i < operand.size(); ++i) strides[lead + i] = operand[i] == 1 ? 0 : own[i];
  return strides;
}

class ChainLowering {
 public:
  ChainLowering(Compiler& compiler, const Group& group) : c_(compiler), group_(group) {
    dims_ = *c_.facts().type(group.result).known_dims();
    collect();
  }

  void run() {
    choose_layout();
    reuse_registers();
    std::vector<ElementOperand> operands;
    std::vector<int> args;
    int over = -1;
    for (const ValueId v : operands_) {
      auto [how, buffer] = place(v);
      if (how.kind == ElementOperand::Kind::full && !c_.is_weight(v) && over < 0) over = buffer;
      operands.push_back(std::move(how));
      args.push_back(buffer);
    }
    args.push_back(over >= 0 ? c_.write_over(group_.result, over, layout_) : c_.write(group_.result, layout_));
    c_.step(element_chain(layout_, std::move(operands), std::move(steps_)), std::move(args), "chain");
  }

 private:
  void collect() {
    std::map<ValueId, int> registers;
    const auto element = [&](NodeId id) { return *element_of(c_.graph(), c_.facts(), id); };
    std::map<ValueId, bool> made;
    for (const NodeId id : group_.nodes) made[c_.graph().node(id).outputs[0]] = true;
    for (const NodeId id : group_.nodes) {
      for (const ValueId v : element_operands(c_.graph(), id, element(id))) {
        if (!made.contains(v) && registers.try_emplace(v, static_cast<int>(operands_.size())).second) operands_.push_back(v);
      }
    }
    int next = static_cast<int>(operands_.size());
    for (const NodeId id : group_.nodes) {
      const ElementOp op = element(id);
      const auto inputs = element_operands(c_.graph(), id, op);
      int at = registers.at(inputs[0]);
      if (operand_count(op.kind) == 1 || inputs.size() == 1) {
        steps_.push_back({operand_count(op.kind) == 1 ? op : ElementOp{ElementKind::copy}, at, at, next});
        at = next++;
      } else {
        for (size_t i = 1; i < inputs.size(); ++i) {  // sums of many: one after the other
          steps_.push_back({op, at, registers.at(inputs[i]), next});
          at = next++;
        }
      }
      registers[c_.graph().node(id).outputs[0]] = at;
    }
  }

  /// A register is free again after its last use, so that a long chain fits; operands keep theirs.
  void reuse_registers() {
    std::map<int, size_t> last_use;
    for (size_t i = 0; i < steps_.size(); ++i) last_use[steps_[i].a] = last_use[steps_[i].b] = i;
    std::map<int, int> now;
    std::vector<int> free;
    const int first = static_cast<int>(operands_.size());
    int top = first;
    for (size_t i = 0; i < steps_.size(); ++i) {
      ElementStep& step = steps_[i];
      const int a = step.a, b = step.b, target = step.target;
      step.a = a < first ? a : now.at(a);
      step.b = b < first ? b : now.at(b);
      for (const int used : {a, b}) {
        if (used >= first && last_use.at(used) == i && now.contains(used)) {
          free.push_back(now.at(used));
          now.erase(used);
        }
      }
      // The last step alone writes the result, whose memory may be that of an operand that is read until then.
      if (free.empty() || i + 1 == steps_.size()) free.push_back(top++);
      now[target] = step.target = free.back();
      free.pop_back();
    }
  }

  Dims dims_of(ValueId v) const { return *c_.facts().type(v).known_dims(); }
  bool is_full(ValueId v) const { return dims_of(v) == dims_; }

  /// The layout of the first full operand that is not plain; plain where an operand is broadcast along other axes than
  /// channels, or none is full.
  void choose_layout() {
    layout_ = Layout::plain(DataType::float32, dims_);
    for (const ValueId v : operands_) {
      if (is_full(v) && !c_.is_weight(v) && !c_.layout_of(v).is_plain()) {
        layout_ = c_.layout_of(v);
        break;
      }
    }
    if (layout_.is_plain()) return;
    for (const ValueId v : operands_) {
      if (is_full(v) || element_count(dims_of(v)) == 1) continue;
      const auto beside = beside_channels(dims_of(v), dims_);
      if (!beside || layout_.dims() != dims_ || !layout_.like(*beside)) {
        layout_ = Layout::plain(DataType::float32, dims_);
        return;
      }
    }
  }

  std::pair<ElementOperand, int> place(ValueId v) {
    using Kind = ElementOperand::Kind;
    const Dims dims = dims_of(v);
    if (is_full(v)) return {{Kind::full, 0, {}}, c_.read(v, layout_)};
    if (element_count(dims) == 1) return {{Kind::scalar, 0, {}}, c_.read(v, Layout::plain(DataType::float32, dims))};
    const auto beside = beside_channels(dims, dims_);
    if (beside && layout_.channels()) {
      const Layout own = *layout_.like(*beside);
      const int64_t stride = (*beside)[0] == 1 ? 0 : layout_.channels()->blocks * layout_.channels()->block;
      return {{Kind::channel, stride, {}}, c_.read(v, own)};
    }
    return {{Kind::strided, 0, broadcast_strides(dims, dims_)}, c_.read(v, Layout::plain(DataType::float32, dims))};
  }

  Compiler& c_;
  const Group& group_;
  Dims dims_;
  Layout layout_;
  std::vector<ValueId> operands_;
  std::vector<ElementStep> steps_;
};

}  // namespace

void lower_chain(Compiler& compiler, const Group& group) { ChainLowering(compiler, group).run(); }

}  // namespace espalier
