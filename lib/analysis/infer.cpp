#include "lib/analysis/infer.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/ops/evaluate.h"

namespace espalier {
namespace {

const Fact kNoFact;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::bad_data, message); }

/// Runs a facet; what the tensor room throws does not know its node, so it is named here.
template <class Body>
void named(const Node& node, Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    const std::string where = node.where();
    if (std::string_view(e.what()).substr(0, where.size()) == where) throw;
    throw Error(e.kind(), where + ": " + e.what()).hint(e.hint());
  }
}

Fact constant_fact(const Tensor& tensor) {
  return {Type::tensor(tensor.type(), tensor.dims()), tensor, std::nullopt};
}

/// A fact in its strongest form: known numbers are a constant, a constant knows its type.
void settle(Fact& fact) {
  if (fact.numbers && !fact.constant && fact.type.is_tensor() && is_integer(fact.type.elem_type)) {
    const auto known = to_known(*fact.numbers);
    const auto dims = fact.type.known_dims();
    if (known && dims && element_count(*dims) == static_cast<int64_t>(known->size())) {
      fact.constant = Tensor::of<int64_t>(*dims, *known).cast(fact.type.elem_type);
    }
  }
  if (fact.constant) {
    fact.type = Type::tensor(fact.constant->type(), fact.constant->dims());
    fact.numbers.reset();
  }
}

class Inference {
 public:
  Inference(const Graph& graph, const InferOptions& options) : graph_(graph), options_(options), table_(graph.value_count()) {
    bytes_left_ = options.fold_bytes;
    macs_left_ = options.fold_macs;
  }

  FactTable run() {
    bind_symbols();
    start();
    for (const NodeId id : graph_.nodes()) named(graph_.node(id), [&] { visit(id); });
    for (const ValueId v : graph_.outputs) check_declared(v);
    return std::move(table_);
  }

 private:
  void bind_symbols() {
    symbols_ = options_.symbols;
    for (const auto& [name, dims] : options_.input_dims) {
      const ValueId v = graph_.find_value(name);
      if (v == kNone || !graph_.is_input(v)) fail("the graph has no input '" + name + "'");
      const Type& declared = graph_.value(v).type;
      if (!declared.is_tensor() || !declared.has_rank()) continue;
      if (declared.dims->size() != dims.size()) {
        fail("input '" + name + "' is given as " + to_string(dims) + ", but the model declares " + declared.str());
      }
      for (size_t i = 0; i < dims.size(); ++i) {
        const auto symbol = (*declared.dims)[i].symbol_name();
        if (!symbol) continue;
        const auto [at, fresh] = symbols_.try_emplace(*symbol, dims[i]);
        if (!fresh && at->second != dims[i]) {
          fail("input '" + name + "' is given as " + to_string(dims) + ", but '" + *symbol + "' is " +
               std::to_string(at->second) + " elsewhere");
        }
      }
    }
  }

  void start() {
    for (const ValueId v : graph_.inputs) table_.at(v).type = input_type(v);
    for (const auto& [v, initializer] : graph_.initializers()) {
      if (!options_.fed.contains(graph_.value(v).name)) table_.at(v) = constant_fact(initializer.tensor);
    }
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const Value& value = graph_.value(static_cast<ValueId>(i));
      if (!value.captured) continue;
      const auto found = options_.captured.find(value.name);
      if (found != options_.captured.end()) table_.at(static_cast<ValueId>(i)) = found->second;
    }
  }

  Type input_type(ValueId v) const {
    const Value& value = graph_.value(v);
    Type type = value.type;
    if (!type.is_tensor()) return type;
    const auto given = options_.input_dims.find(value.name);
    if (given != options_.input_dims.end()) {
      type.dims = to_symbolic(given->second);
    } else if (type.dims) {
      for (size_t i = 0; i < type.dims->size(); ++i) {
        Dim& dim = (*type.dims)[i];
        if (dim.unknown()) dim = Dim::symbol(value.name + "." + std::to_string(i));
        dim = dim.substitute(symbols_);
      }
    }
    return type;
  }

  void visit(NodeId id) {
    const Node& node = graph_.node(id);
    const Op* op = find_op(node);
    if (!op) {
      for (const ValueId v : node.outputs) {
        if (v != kNone) table_.at(v).type = declared_type(v);
      }
      return;
    }
    InferContext context = table_.context(graph_, id);
    for (Fact& fact : context.outputs()) fact = {};
    op->infer(context);
    for (Fact& fact : context.outputs()) settle(fact);
    fold(*op, node, context);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNone) continue;
      Fact& fact = context.outputs()[i];
      if (fact.type.kind == Type::Kind::unknown || (fact.type.is_tensor() && !fact.type.has_rank())) {
        complete(fact.type, declared_type(v));
      }
      table_.at(v) = std::move(fact);
    }
  }

  static void complete(Type& inferred, Type declared) {
    if (inferred.kind == Type::Kind::unknown) {
      inferred = std::move(declared);
    } else if (declared.is_tensor()) {
      if (inferred.elem_type == DataType::undefined) inferred.elem_type = declared.elem_type;
      inferred.dims = std::move(declared.dims);
    }
  }

  Type declared_type(ValueId v) const {
    Type type = graph_.value(v).type;
    if (type.dims && (!options_.input_dims.empty() || !options_.symbols.empty())) {
      for (Dim& dim : *type.dims) dim = Dim();
    }
    return type;
  }

  void fold(const Op& op, const Node& node, InferContext& context) {
    if (!op.evaluate || !op.deterministic || !worth_folding(op, node, context)) return;
    std::vector<const Tensor*> inputs(node.inputs.size(), nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (node.has_input(i)) inputs[i] = context.constant(i);
    }
    EvaluateContext run(node, inputs);
    op.evaluate(run);
    for (size_t i = 0; i < run.outputs().size(); ++i) {
      Tensor& made = run.outputs()[i];
      if (!made.defined()) continue;
      if (!op.is_view && node.op_type != "Constant") bytes_left_ -= static_cast<int64_t>(made.bytes().size());
      context.outputs()[i] = constant_fact(made);
    }
  }

  bool worth_folding(const Op& op, const Node& node, InferContext& context) {
    int64_t in_bytes = 0;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.has_input(i)) continue;
      const Tensor* constant = context.constant(i);
      if (!constant) return false;
      in_bytes = checked_add(in_bytes, static_cast<int64_t>(constant->bytes().size()));
    }
    const auto& outputs = context.outputs();
    const bool missing = std::any_of(outputs.begin(), outputs.end(), [](const Fact& f) { return !f.constant; });
    if (!missing) return false;
    if (node.inputs.empty() || op.is_view) return options_.fold_macs > 0;
    int64_t out_bytes = 0;
    bool sized = true;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!node.has_output(i)) continue;
      const auto dims = outputs[i].type.known_dims();
      if (dims) out_bytes = std::max(out_bytes, byte_count(outputs[i].type.elem_type, *dims));
      sized = sized && dims;
    }
    // A size that hangs on data (NonZero, Unique) is at most some eight bytes an axis and input byte.
    if (!sized) out_bytes = std::max(out_bytes, checked_mul(in_bytes, 64));
    const int64_t macs = op.cost && sized ? op.cost(context).macs : 0;
    if (out_bytes > options_.fold_bytes_per_tensor || out_bytes > bytes_left_ || macs >= macs_left_) return false;
    macs_left_ -= macs;
    return true;
  }

  void check_declared(ValueId v) const {
    const Type& declared = graph_.value(v).type;
    const Type& inferred = table_.type(v);
    if (!declared.is_tensor() || !inferred.is_tensor()) return;
    const bool other_type = declared.elem_type != DataType::undefined && inferred.elem_type != DataType::undefined &&
                            declared.elem_type != inferred.elem_type;
    const bool other_rank = declared.has_rank() && inferred.has_rank() && declared.rank() != inferred.rank();
    if (!other_type && !other_rank) return;
    fail("graph output '" + graph_.value(v).name + "' is declared as " + declared.str() + ", but is " + inferred.str());
  }

  const Graph& graph_;
  const InferOptions& options_;
  FactTable table_;
  std::map<std::string, int64_t> symbols_;
  int64_t bytes_left_ = 0;
  int64_t macs_left_ = 0;
};

bool agrees(const Type& type, const Tensor& tensor) {
  if (!type.is_tensor()) return type.kind == Type::Kind::unknown;
  if (type.elem_type != DataType::undefined && type.elem_type != tensor.type()) return false;
  if (!type.has_rank()) return true;
  if (type.rank() != tensor.rank()) return false;
  for (size_t i = 0; i < type.dims->size(); ++i) {
    const Dim& dim = (*type.dims)[i];
    if (dim.known() && !dim.is(tensor.dims()[i])) return false;
  }
  return true;
}

}  // namespace

const Fact& FactTable::operator[](ValueId id) const {
  check(id >= 0, "a value id");
  return static_cast<size_t>(id) < facts_.size() ? facts_[id] : kNoFact;
}

Fact& FactTable::at(ValueId id) {
  check(id >= 0, "a value id");
  if (static_cast<size_t>(id) >= facts_.size()) facts_.resize(id + 1);
  return facts_[id];
}

const Tensor* FactTable::constant(ValueId id) const {
  const Fact& fact = (*this)[id];
  return fact.constant ? &*fact.constant : nullptr;
}

InferContext FactTable::context(const Graph& graph, NodeId id) const {
  const Node& node = graph.node(id);
  std::vector<const Fact*> inputs(node.inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (node.has_input(i)) inputs[i] = &(*this)[node.inputs[i]];
  }
  InferContext context(graph, id, std::move(inputs));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.has_output(i)) context.outputs_[i] = (*this)[node.outputs[i]];
  }
  return context;
}

FactTable infer(const Graph& graph, const InferOptions& options) { return Inference(graph, options).run(); }

std::vector<Tensor> evaluate_node(const Graph& graph, NodeId id, const std::vector<const Tensor*>& inputs) {
  const Node& node = graph.node(id);
  const Op* op = find_op(node);
  if (!op || !op->evaluate) fail(node.where() + ": the operator is opaque, so it cannot be run");
  std::vector<Fact> facts(inputs.size());
  std::vector<const Fact*> pointers(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    facts[i] = constant_fact(*inputs[i]);
    pointers[i] = &facts[i];
  }
  InferContext checked(graph, id, std::move(pointers));
  EvaluateContext run(node, inputs);
  named(node, [&] {
    op->infer(checked);
    op->evaluate(run);
  });
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.has_output(i)) continue;
    const Tensor& made = run.outputs()[i];
    const Type& promised = checked.output(i).type;
    check(made.defined() && agrees(promised, made), node.where() + " makes output " + std::to_string(i) + " as " +
          Type::tensor(made.type(), made.dims()).str() + ", inferred was " + promised.str());
  }
  return std::move(run.outputs());
}

}  // namespace espalier
