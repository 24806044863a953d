#include "lib/analysis/infer.h"

#include <algorithm>

#include "lib/base/error.h"

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

bool has_body(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(),
                     [](const Attribute& a) { return std::holds_alternative<Body>(a.value); });
}

/// A node that cannot be calculated now after all.
struct NotConstant {};

/// What may still be spent, on a graph and all its bodies together.
struct Budget {
  int64_t bytes = 0, macs = 0, body_nodes = 0;
};

class Inference {
 public:
  Inference(const Graph& graph, const InferOptions& options, Budget& budget, const Inference* outer)
      : graph_(graph), options_(options), budget_(budget), outer_(outer), table_(graph.value_count()) {}

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
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      if (options_.body_inputs.empty()) table_.at(graph_.inputs[i]).type = input_type(graph_.inputs[i]);
      else table_.at(graph_.inputs[i]) = body_input(graph_.inputs[i], options_.body_inputs[i]);
    }
    for (const auto& [v, initializer] : graph_.initializers()) {
      if (!options_.fed.contains(graph_.value(v).name)) table_.at(v) = constant_fact(initializer.tensor);
    }
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const Value& value = graph_.value(static_cast<ValueId>(i));
      if (!value.captured) continue;
      if (const Fact* fact = outside(value.name)) table_.at(static_cast<ValueId>(i)) = *fact;
      else table_.at(static_cast<ValueId>(i)).type = value.type;  // what a pass that edits the body alone knows
    }
  }

  /// What is known of a value that a body reads from outside itself.
  const Fact* outside(const std::string& name) const {
    const auto found = options_.captured.find(name);
    if (found != options_.captured.end()) return &found->second;
    for (const Inference* g = outer_; g; g = g->outer_) {
      const ValueId v = g->graph_.find_value(name);
      if (v != kNone && !g->graph_.value(v).captured) return &g->table_[v];
      const auto given = g->options_.captured.find(name);
      if (given != g->options_.captured.end()) return &given->second;
    }
    return nullptr;
  }

  /// Sizes that a body declares are not believed: they were written for one iteration.
  Fact body_input(ValueId v, Fact fact) const {
    const Type& declared = graph_.value(v).type;
    Type& type = fact.type;
    if (declared.kind == Type::Kind::unknown || (declared.kind == Type::Kind::optional && type.kind != Type::Kind::unknown)) return fact;
    const bool other = (type.kind != Type::Kind::unknown && type.kind != declared.kind) ||
                       (type.is_tensor() && type.elem_type != DataType::undefined &&
                        declared.elem_type != DataType::undefined && type.elem_type != declared.elem_type);
    if (other) {
      fail("input '" + graph_.value(v).name + "' of the body is declared as " + declared.str() + ", but is " + type.str());
    }
    if (type.kind == Type::Kind::unknown) type = declared;
    if (type.is_tensor() && type.elem_type == DataType::undefined) type.elem_type = declared.elem_type;
    return fact;
  }

  /// Facts of a body's outputs. `table`: where the facts inside go, if anywhere.
  std::vector<Fact> infer_body(const Graph& body, const std::vector<Fact>& inputs, FactTable* table) {
    budget_.body_nodes -= 1 + static_cast<int64_t>(body.nodes().size());
    if (budget_.body_nodes < 0) return std::vector<Fact>(body.outputs.size());
    InferOptions options;
    options.symbols = symbols_;
    options.body_inputs = inputs;
    options.fold_bytes_per_tensor = options_.fold_bytes_per_tensor;
    options.fold_macs = options_.fold_macs;
    FactTable facts = Inference(body, options, budget_, this).run();
    std::vector<Fact> made;
    for (const ValueId v : body.outputs) made.push_back(facts[v]);
    if (table) *table = std::move(facts);
    return made;
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
    if (has_body(node)) {
      context.set_infer_body([this, id](std::string_view attribute, const std::vector<Fact>& inputs) {
        FactTable inside;
        auto made = infer_body(*graph_.node(id).require<Body>(attribute), inputs, &inside);
        table_.set_body(id, attribute, std::move(inside));
        return made;
      }, sizes_bound());
    }
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

  bool sizes_bound() const {
    return !options_.input_dims.empty() || !options_.symbols.empty() || (outer_ && outer_->sizes_bound());
  }

  void fold(const Op& op, const Node& node, InferContext& context) {
    if (!op.evaluate || !op.deterministic || !worth_folding(op, node, context)) return;
    std::vector<const Tensor*> inputs(node.inputs.size(), nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (node.has_input(i)) inputs[i] = context.constant(i);
    }
    EvaluateContext run(node, inputs);
    run.set_run_body([&](std::string_view attribute, const std::vector<HostValue>& values) {
      return fold_body(*node.require<Body>(attribute), values);
    });
    try {
      op.evaluate(run);
    } catch (const NotConstant&) {
      return;
    }
    for (size_t i = 0; i < run.outputs().size(); ++i) {
      Tensor& made = run.outputs()[i];
      if (!made.defined()) continue;
      if (!op.is_view && node.op_type != "Constant") budget_.bytes -= static_cast<int64_t>(made.bytes().size());
      context.outputs()[i] = constant_fact(made);
    }
  }

  /// A body's outputs, where they follow from its inputs; throws NotConstant where they do not, or where it costs too much.
  std::vector<HostValue> fold_body(const Graph& body, const std::vector<HostValue>& inputs) {
    std::vector<Fact> facts;
    for (const HostValue& value : inputs) {
      if (!value.is_tensor()) throw NotConstant();
      facts.push_back(constant_fact(value.tensor()));
    }
    std::vector<HostValue> result;
    for (const Fact& fact : infer_body(body, facts, nullptr)) {
      if (!fact.constant) throw NotConstant();
      result.emplace_back(*fact.constant);
    }
    return result;
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
    if (out_bytes > options_.fold_bytes_per_tensor || out_bytes > budget_.bytes || macs >= budget_.macs) return false;
    budget_.macs -= macs;
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
  Budget& budget_;
  const Inference* outer_;
  FactTable table_;
  std::map<std::string, int64_t> symbols_;
};

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

const FactTable* FactTable::body(NodeId id, std::string_view attribute) const {
  const auto found = bodies_.find({id, std::string(attribute)});
  return found == bodies_.end() ? nullptr : found->second.get();
}

void FactTable::set_body(NodeId id, std::string_view attribute, FactTable table) {
  bodies_[{id, std::string(attribute)}] = std::make_shared<const FactTable>(std::move(table));
}

FactTable infer(const Graph& graph, const InferOptions& options) {
  Budget budget{options.fold_bytes, options.fold_macs, options.body_nodes};
  return Inference(graph, options, budget, nullptr).run();
}

std::vector<HostValue> evaluate_values(const Graph& graph, NodeId id, const std::vector<const HostValue*>& inputs,
                                       const RunBody& run_body) {
  const Node& node = graph.node(id);
  const Op* op = find_op(node);
  if (!op || !op->evaluate) fail(node.where() + ": the operator is opaque, so it cannot be run");
  std::vector<Fact> facts(inputs.size());
  std::vector<const Fact*> pointers(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    facts[i] = inputs[i]->is_tensor() ? constant_fact(inputs[i]->tensor()) : Fact{inputs[i]->type(), {}, {}};
    pointers[i] = &facts[i];
  }
  InferContext checked(graph, id, std::move(pointers));
  EvaluateContext run(node, inputs);
  run.set_run_body(run_body);
  named(node, [&] {
    op->infer(checked);
    op->evaluate(run);
  });
  std::vector<HostValue> results;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    results.push_back(run.result(i));
    if (!node.has_output(i)) continue;
    const Type& promised = checked.output(i).type;
    check(results[i].defined() && agrees(promised, results[i]), node.where() + " makes output " + std::to_string(i) + " as " +
          results[i].type().str() + ", inferred was " + promised.str());
  }
  return results;
}

std::vector<Tensor> evaluate_node(const Graph& graph, NodeId id, const std::vector<const Tensor*>& inputs) {
  std::vector<HostValue> values(inputs.size());
  std::vector<const HostValue*> pointers(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    values[i] = *inputs[i];
    pointers[i] = &values[i];
  }
  std::vector<Tensor> results;
  for (const HostValue& value : evaluate_values(graph, id, pointers, nullptr)) {
    if (value.defined() && !value.is_tensor()) fail(graph.node(id).where() + ": its result is " + value.type().str() + ", no tensor");
    results.push_back(value.is_tensor() ? value.tensor() : Tensor());
  }
  return results;
}

}  // namespace espalier
