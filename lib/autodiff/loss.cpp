#include "lib/autodiff/loss.h"

#include <algorithm>
#include <cmath>

#include "lib/analysis/infer.h"
#include "lib/base/error.h"
#include "lib/ops/gradient.h"

namespace espalier {
namespace {

class LossBuilder {
 public:
  LossBuilder(Graph& graph, ValueId logits, ValueId output) : graph_(graph), output_(output) {
    const FactTable facts = infer(graph);
    output_type_ = facts.type(output);
    logits_type_ = facts.type(logits);
    logits_ = logits;
  }

  void add(const LossTerm& term);
  AddedLoss finish();

 private:
  ValueId node(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes, std::string_view domain = "");
  ValueId input(const std::string& name, Type type);
  ValueId flat_logits();
  void require_logits(const char* loss) const;
  ValueId cross_entropy(const LossTerm& term);
  ValueId distillation(const LossTerm& term);
  ValueId mse();

  Graph& graph_;
  ValueId logits_, output_;
  Type logits_type_, output_type_;
  AddedLoss result_;
  std::vector<ValueId> weighted_;
};

ValueId LossBuilder::node(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes,
                          std::string_view domain) {
  Node n;
  n.name = "loss/" + op_type;
  n.op_type = std::move(op_type);
  n.inputs = std::move(inputs);
  n.attributes = std::move(attributes);
  n.domain = domain;
  n.version = domain.empty() ? kTrainingOpset : 1;
  n.outputs = {graph_.add_value(n.name)};
  const ValueId made = n.outputs[0];
  graph_.add_node(std::move(n));
  return made;
}

/// A graph input of the given type, its unknown sizes made symbols.
ValueId LossBuilder::input(const std::string& name, Type type) {
  const ValueId id = graph_.add_value(name);
  for (size_t i = 0; i < type.dims->size(); ++i) {
    Dim& size = (*type.dims)[i];
    if (size.unknown()) size = Dim::symbol(graph_.value(id).name + "." + std::to_string(i));
  }
  graph_.value(id).type = std::move(type);
  graph_.inputs.push_back(id);
  result_.inputs.push_back(id);
  return id;
}

void LossBuilder::require_logits(const char* loss) const {
  if (logits_type_.has_rank() && logits_type_.rank() >= 2) return;
  throw Error(ErrorKind::bad_data, std::string(loss) + ": logits '" + graph_.value(logits_).name + "' are " +
                                       logits_type_.str() + ", expected [batch, classes, ...]");
}

/// The logits without trailing axes of size 1: [N, C, 1, 1] is [N, C] to a loss over classes.
ValueId LossBuilder::flat_logits() {
  const SymbolicDims& dims = *logits_type_.dims;
  const bool flat = dims.size() > 2 && std::all_of(dims.begin() + 2, dims.end(), [](const Dim& d) { return d.is(1); });
  return flat ? node("Flatten", {logits_}, {{"axis", int64_t{1}, {}}}) : logits_;
}

ValueId LossBuilder::cross_entropy(const LossTerm& term) {
  require_logits("cross-entropy");
  const ValueId scores = flat_logits();
  SymbolicDims dims = *logits_type_.dims;
  dims.erase(dims.begin() + 1);
  if (scores != logits_) dims.resize(1);
  std::vector<Attribute> attributes = {{"reduction", std::string("mean"), {}}};
  if (term.ignore_index) attributes.push_back({"ignore_index", *term.ignore_index, {}});
  return node("SoftmaxCrossEntropyLoss", {scores, input("labels", Type::tensor(DataType::int64, dims))}, std::move(attributes));
}

ValueId LossBuilder::distillation(const LossTerm& term) {
  require_logits("distillation");
  if (!(term.temperature > 0) || !std::isfinite(term.temperature)) {
    throw Error(ErrorKind::usage, "temperature is " + std::to_string(term.temperature) + ", expected more than 0");
  }
  return node("SoftTargetCrossEntropy", {logits_, input("teacher", logits_type_)}, {{"temperature", term.temperature, {}}},
              kInternalDomain);
}

ValueId LossBuilder::mse() {
  if (!output_type_.has_rank()) {
    throw Error(ErrorKind::bad_data, "mean squared error: the rank of '" + graph_.value(output_).name + "' is not known");
  }
  return node("MeanSquaredError", {output_, input("target", output_type_)}, {}, kInternalDomain);
}

void LossBuilder::add(const LossTerm& term) {
  if (!std::isfinite(term.weight)) throw Error(ErrorKind::usage, "weight of a loss is not finite");
  const ValueId value = term.kind == LossTerm::Kind::cross_entropy  ? cross_entropy(term)
                        : term.kind == LossTerm::Kind::distillation ? distillation(term)
                                                                    : mse();
  result_.terms.push_back(value);
  if (term.weight == 1.0f) {
    weighted_.push_back(value);
    return;
  }
  const DataType type = term.kind == LossTerm::Kind::mse ? output_type_.elem_type : logits_type_.elem_type;
  const ValueId weight = graph_.add_value("loss/weight");
  graph_.set_initializer(weight, Tensor::scalar(term.weight).cast(type));
  weighted_.push_back(node("Mul", {value, weight}, {}));
}

AddedLoss LossBuilder::finish() {
  result_.loss = weighted_.size() == 1 ? weighted_[0] : node("Sum", weighted_, {});
  return std::move(result_);
}

}  // namespace

AddedLoss add_loss(Graph& graph, ValueId logits, ValueId output, const LossSpec& spec) {
  if (spec.terms.empty()) throw Error(ErrorKind::usage, "a loss needs at least one term");
  LossBuilder builder(graph, logits, output);
  for (const LossTerm& term : spec.terms) builder.add(term);
  graph.opsets[std::string(kInternalDomain)] = 1;
  return builder.finish();
}

}  // namespace espalier
