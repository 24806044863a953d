#include "passes/fuse/fuse_gemm.h"

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

bool matrix(const Type& type) { return type.is_tensor() && is_float(type.elem_type) && type.has_rank() && type.rank() == 2; }

/// Whether a constant broadcasts to [M, n] without making it larger.
bool fits(const Tensor& constant, const Dim& n) {
  if (constant.rank() > 2) return false;
  if (constant.rank() == 2 && constant.dims()[0] != 1) return false;
  return constant.rank() == 0 || constant.dims().back() == 1 || n.is(constant.dims().back());
}

bool fuse_node(Graph& graph, const FactTable& facts, const std::vector<bool>& captured, NodeId id) {
  const Node add = graph.node(id);
  if (!add.domain.empty() || add.op_type != "Add" || add.version < 7 || add.inputs.size() != 2) return false;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const ValueId h = add.inputs[i], c = add.inputs[1 - i];
    const NodeId producer = graph.producer(h);
    const Tensor* constant = graph.constant(c);
    if (producer == kNone || !constant || graph.users(h).size() != 1 || graph.is_output(h) || captured[h]) continue;
    const Node matmul = graph.node(producer);
    if (!matmul.domain.empty() || matmul.op_type != "MatMul" || !matrix(facts.type(matmul.inputs[0])) ||
        !matrix(facts.type(matmul.inputs[1])) || !matrix(facts.type(h)) || !fits(*constant, facts.type(h).dims->back())) {
      continue;
    }
    graph.value(h).declared = false;
    // The constant may be made after the MatMul, so the Gemm takes the place of the Add.
    graph.erase_node(producer);
    graph.set_op_type(id, "Gemm", add.version);
    graph.set_node_name(id, matmul.name);
    graph.set_inputs(id, {matmul.inputs[0], matmul.inputs[1], c});
    return true;
  }
  return false;
}

void run(PassContext& context) { context.count("gemms", edit_nodes(context.graph(), fuse_node)); }

constexpr PassCounter kCounters[] = {{"gemms", "pairs of MatMul and Add that became a Gemm"}};

}  // namespace

extern const Pass fuse_gemm;
const Pass fuse_gemm = {.name = "fuse-gemm",
                        .summary = "make MatMul and Add one Gemm",
                        .contract = Contract::equal,
                        .counters = kCounters,
                        .run = run};

}  // namespace espalier::passes
