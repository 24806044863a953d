#include "lib/train/training_plan.h"

#include <algorithm>
#include <regex>
#include <set>

#include "lib/analysis/infer.h"
#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/gradient_stops.h"
#include "lib/autodiff/to_training.h"
#include "lib/base/error.h"

namespace espalier {
namespace {

/// The terms of the loss, and where each takes what it compares with.
struct Terms {
  LossSpec spec;
  std::vector<bool> from_teacher;

  void add(LossTerm::Kind kind, double weight, double temperature, bool teacher) {
    LossTerm term;
    term.kind = kind;
    term.weight = static_cast<float>(weight);
    term.temperature = static_cast<float>(temperature);
    spec.terms.push_back(term);
    from_teacher.push_back(teacher);
  }
};

LossKind resolved(LossKind loss, const LossSources& sources) {
  if (loss != LossKind::automatic) return loss;
  return sources.classes ? LossKind::cross_entropy : sources.values ? LossKind::mse : LossKind::distillation;
}

Terms choose_terms(const TrainConfig& config, const LossSources& sources) {
  const LossKind loss = resolved(config.loss, sources);
  Terms terms;
  if (loss == LossKind::cross_entropy) {
    if (!sources.classes) throw Error(ErrorKind::usage, "cross-entropy needs class labels, the data have none").hint("loss distillation needs only a teacher");
    const double share = sources.teacher ? config.teacher_weight : 0;
    if (share < 1) terms.add(LossTerm::Kind::cross_entropy, 1 - share, 1, false);
    if (share > 0) terms.add(LossTerm::Kind::distillation, share, config.temperature, true);
  } else if (loss == LossKind::mse) {
    if (!sources.values && !sources.teacher) throw Error(ErrorKind::usage, "mse needs float targets or a teacher");
    const double share = !sources.values ? 1 : sources.teacher ? config.teacher_weight : 0;
    if (share < 1) terms.add(LossTerm::Kind::mse, 1 - share, 1, false);
    if (share > 0) terms.add(LossTerm::Kind::mse, share, 1, true);
  } else {
    if (!sources.teacher) throw Error(ErrorKind::usage, "without labels a teacher is needed").hint("name one, or labels by FILE:x=NAME,y=NAME");
    terms.add(LossTerm::Kind::distillation, 1, config.temperature, true);
  }
  return terms;
}

void check_float(const Graph& graph, ValueId parameter) {
  const DataType type = graph.initializer(parameter)->type();
  if (type == DataType::float32) return;
  throw Error(ErrorKind::bad_data, "parameter '" + graph.value(parameter).name + "' is " + std::string(name(type)) +
                                       ", training works on float");
}

std::vector<ValueId> wanted_parameters(const Graph& graph, const TrainConfig& config) {
  std::vector<ValueId> wanted;
  for (const ValueId v : trainable_parameters(graph, infer(graph))) {
    if (!graph.initializer(v) || is_frozen(config, graph.value(v).name)) continue;
    check_float(graph, v);
    wanted.push_back(v);
  }
  if (wanted.empty()) {
    throw Error(ErrorKind::usage, "there is nothing to train").hint("the model has no trainable parameters, or all are frozen");
  }
  return wanted;
}

/// A gradient that belongs to two parameters gets a copy, so that each has a value of its own.
ValueId own_value(Graph& graph, ValueId grad, std::set<ValueId>& taken) {
  if (taken.insert(grad).second) return grad;
  Node copy;
  copy.op_type = "Identity";
  copy.name = "grad/copy";
  copy.version = 16;
  copy.inputs = {grad};
  copy.outputs = {graph.add_value("grad/copy")};
  const ValueId made = copy.outputs[0];
  graph.add_node(std::move(copy));
  graph.outputs.push_back(made);
  return made;
}

/// Why nothing can be trained by this output.
Error without_gradients(const Graph& forward, ValueId output, const std::vector<ValueId>& wanted) {
  std::string stops;
  for (const NodeId id : gradient_stops(forward, output, wanted)) stops += (stops.empty() ? "" : ", ") + forward.node(id).where();
  const std::string name = "output '" + forward.value(output).name + "'";
  if (stops.empty()) return {ErrorKind::bad_data, name + " does not depend on any parameter"};
  return Error(ErrorKind::bad_data, "no gradient of " + name + " reaches a parameter: it stops at " + stops)
      .hint("train another output, one before these nodes");
}

}  // namespace

bool is_frozen(const TrainConfig& config, const std::string& parameter) {
  return std::any_of(config.groups.begin(), config.groups.end(), [&](const ParameterGroup& group) {
    return group.frozen && std::regex_search(parameter, std::regex(group.pattern));
  });
}

TrainingSetup prepare_training(const Graph& model, const TrainConfig& config, const LossSources& sources) {
  const Terms terms = choose_terms(config, sources);
  TrainingSetup setup;
  setup.base = at_any_batch(model, config.batch_size);
  if (!config.freeze_batch_norm) unshare_running_statistics(setup.base);
  const ToTrainingOptions as_it_is{.batch_norm = ToTrainingOptions::BatchNorm::frozen, .dropout = false, .random_steps = false};
  setup.inference = to_training(setup.base, as_it_is);

  Graph forward = setup.base;
  const ValueId output = find_output(forward, config.output);
  const bool by_scores = std::any_of(terms.spec.terms.begin(), terms.spec.terms.end(),
                                     [](const LossTerm& term) { return term.kind != LossTerm::Kind::mse; });
  const ValueId scores = by_scores ? find_logits(forward, output) : output;
  forward.outputs = {scores};
  ToTrainingOptions options;
  options.batch_norm = config.freeze_batch_norm ? ToTrainingOptions::BatchNorm::frozen : ToTrainingOptions::BatchNorm::batch;
  options.dropout = config.dropout;
  options.seed = config.seed;
  forward = to_training(forward, options);
  const AddedLoss loss = add_loss(forward, scores, output, terms.spec);
  for (size_t i = 0; i < loss.inputs.size(); ++i) {
    setup.inputs.push_back({terms.spec.terms[i].kind, forward.value(loss.inputs[i]).name, terms.from_teacher[i]});
  }
  const std::vector<ValueId> wanted = wanted_parameters(forward, config);
  TrainingGraph made = differentiate(forward, loss.loss, wanted);
  if (made.gradients.empty()) throw without_gradients(forward, output, wanted);
  setup.training = std::move(made.graph);
  std::set<ValueId> taken;
  for (const Gradient& gradient : made.gradients) {
    const ValueId grad = own_value(setup.training, gradient.grad, taken);
    setup.trained.push_back(setup.training.value(gradient.param).name);
    setup.options.gradients[setup.training.value(grad).name] = setup.trained.back();
  }
  for (const StatePair& pair : setup.training.state_pairs) {
    const std::string& state = setup.training.value(pair.input).name;
    if (setup.base.find_value(state) != kNone) setup.statistics.push_back(state);
  }
  setup.loss = setup.training.value(loss.loss).name;
  setup.scores = setup.training.value(scores).name;
  return setup;
}

void write_back(Graph& model, const TrainingSetup& setup, const std::map<std::string, Tensor>& values) {
  Graph result = model;
  if (!setup.statistics.empty()) unshare_running_statistics(result);
  for (const auto& [parameter, tensor] : values) {
    const ValueId v = result.find_value(parameter);
    check(v != kNone, "a trained parameter of the model: " + parameter);
    const NodeId producer = result.producer(v);
    if (producer == kNone) {
      result.set_initializer(v, tensor);
      continue;
    }
    check(result.node(producer).op_type == "Constant", "a parameter is an initialiser or a Constant: " + parameter);
    for (const char* form : {"value_float", "value_floats"}) {
      if (result.node(producer).has(form)) result.erase_attribute(producer, form);
    }
    result.set_attribute(producer, "value", tensor);
  }
  model = std::move(result);
}

}  // namespace espalier
