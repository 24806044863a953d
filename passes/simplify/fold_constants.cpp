#include "passes/simplify/fold_constants.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

class Folding {
 public:
  Folding(Graph& graph, int64_t& growth_left) : graph_(graph), growth_left_(growth_left), captured_(captured_values(graph)) {}

  int64_t run() {
    const FactTable facts = infer(graph_);
    mark(facts);
    // From the last to the first: what only folded nodes read need not be kept.
    const std::vector<NodeId> order(graph_.nodes().begin(), graph_.nodes().end());
    for (auto id = order.rbegin(); id != order.rend(); ++id) {
      if (foldable_[*id]) fold(*id, facts);
    }
    return folded_;
  }

  const std::vector<std::string>& too_large() const { return too_large_; }

 private:
  bool used(ValueId v) const { return v != kNone && (!graph_.users(v).empty() || captured_[v] || graph_.is_output(v)); }

  void mark(const FactTable& facts) {
    foldable_.assign(graph_.node_limit(), false);
    std::vector<bool> compact(graph_.value_count(), false);
    for (const NodeId id : graph_.nodes()) {
      const Node& node = graph_.node(id);
      const bool from_compact = node.op_type == "DequantizeLinear" ||
                                std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return v != kNone && compact[v]; });
      for (const ValueId v : node.outputs) {
        if (v != kNone) compact[v] = from_compact;
      }
      if (from_compact || node.op_type == "Constant" || !find_op(node)) continue;
      foldable_[id] = std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
        return !used(v) || (facts.constant(v) && !graph_.is_output(v));
      });
    }
  }

  void fold(NodeId id, const FactTable& facts) {
    const Node node = graph_.node(id);
    int64_t bytes = 0;
    for (const ValueId v : node.outputs) {
      if (used(v)) bytes += static_cast<int64_t>(facts.constant(v)->bytes().size());
    }
    const int64_t growth = bytes - freed(id, 0);
    if (growth > growth_left_) {
      too_large_.push_back(fmt::format("{} is left: its result would add {} bytes", node.where(), growth));
      return;
    }
    growth_left_ -= std::max<int64_t>(growth, 0);
    graph_.erase_node(id);
    for (const ValueId v : node.outputs) {
      if (used(v)) graph_.set_initializer(v, *facts.constant(v));
    }
    ++folded_;
  }

  /// Bytes of the initialisers that nothing else reads, so that they go when the node does.
  int64_t freed(NodeId id, int depth) const {
    int64_t bytes = 0;
    for (const ValueId v : graph_.node(id).inputs) {
      if (v == kNone || graph_.users(v).size() != 1 || captured_[v] || graph_.is_output(v)) continue;
      if (const Tensor* tensor = graph_.initializer(v)) bytes += static_cast<int64_t>(tensor->bytes().size());
      const NodeId producer = graph_.producer(v);
      if (producer != kNone && foldable_[producer] && depth < 64) bytes += freed(producer, depth + 1);
    }
    return bytes;
  }

  Graph& graph_;
  int64_t& growth_left_;
  std::vector<bool> captured_;
  std::vector<bool> foldable_;
  std::vector<std::string> too_large_;
  int64_t folded_ = 0;
};

void run(PassContext& context) {
  int64_t growth_left = context.options().integer("growth");
  std::vector<std::string> too_large;
  const int64_t folded = edit_graphs(context.graph(), [&](Graph& graph) {
    Folding folding(graph, growth_left);
    const int64_t count = folding.run();
    too_large.insert(too_large.end(), folding.too_large().begin(), folding.too_large().end());
    return count;
  });
  context.count("folded", folded);
  for (std::string& line : too_large) context.note(std::move(line));
}

constexpr PassOption kOptions[] = {
    {"growth", PassOption::Kind::integer, "1048576", "bytes by which folded results may enlarge the file", "", 0},
};
constexpr PassCounter kCounters[] = {{"folded", "nodes replaced by their value"}};

}  // namespace

extern const Pass fold_constants;
const Pass fold_constants = {.name = "fold-constants",
                             .summary = "calculate what does not depend on the inputs",
                             .contract = Contract::equal,
                             .options = kOptions,
                             .counters = kCounters,
                             .run = run};

}  // namespace espalier::passes
