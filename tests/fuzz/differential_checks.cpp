#include "tests/fuzz/differential_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/onnx_io/load.h"
#include "lib/runtime/plan.h"
#include "passes/pipeline.h"

namespace espalier::testing {
namespace {

using Result = DifferentialCheck::Result;
using Tensors = std::map<std::string, Tensor>;

double share_of(DataType type) {
  return type == DataType::float64 ? 1e-9 : type == DataType::float16 || type == DataType::bfloat16 ? 5e-3 : 1e-4;
}

/// Largest finite absolute value; what is all but zero comes from numbers of the order of one.
double scale_of(const std::vector<double>& values) {
  double scale = 0.1;
  for (const double v : values) {
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  }
  return scale;
}

/// The largest share of the float types that a value is calculated in: a double made of floats is as far off as they are.
double share_of(const Graph& graph, const FactTable& facts, ValueId v) {
  double share = 0;
  std::set<ValueId> seen;
  std::vector<ValueId> open = {v};
  while (!open.empty()) {
    const ValueId at = open.back();
    open.pop_back();
    if (at == kNone || !seen.insert(at).second) continue;
    if (is_float(facts.type(at).elem_type)) share = std::max(share, share_of(facts.type(at).elem_type));
    const NodeId made_by = graph.producer(at);
    if (made_by == kNone) continue;
    const auto& inputs = graph.node(made_by).inputs;
    open.insert(open.end(), inputs.begin(), inputs.end());
  }
  return share;
}

std::map<std::string, Expected> expect(const Graph& graph, const Tensors& feeds) {
  const Tensors own = run_reference(graph, feeds);
  const FactTable facts = infer(graph);
  const Tensors wide = run_reference(graph, feeds, {.in_double = true});
  std::map<std::string, Expected> result;
  for (const auto& [name, tensor] : own) {
    Expected e{tensor, 0};
    if (is_float(tensor.type())) {
      const auto a = tensor.to_doubles(), b = wide.at(name).to_doubles();
      e.tolerance = share_of(graph, facts, graph.find_value(name)) * scale_of(a);
      for (size_t i = 0; i < a.size(); ++i) e.tolerance = std::max(e.tolerance, 64 * std::abs(a[i] - b[i]));
    }
    result.emplace(name, std::move(e));
  }
  return result;
}

Result run_plan(const RandomGraph& random, bool frozen) {
  ParameterStore store;
  CompileOptions options;
  options.frozen = frozen;
  Plan plan(random.graph, store, options);
  for (const auto& [name, tensor] : random.feeds) plan.feed(name, tensor);
  for (int run = 0; run < 2; ++run) plan.run();  // the second finds the arena as the first left it
  for (const auto& [name, expected] : expected_outputs(random)) require_close(name, plan.output_tensor(name), expected);
  return Result::agreed;
}

Result run_simplify(const RandomGraph& random) {
  Model model = make_model(random.graph);
  Resources resources;
  resources.verify = false;
  Pipeline::parse("simplify, fuse").run(model, resources);
  const Tensors actual = run_reference(model.graph, random.feeds);
  for (const auto& [name, expected] : expected_outputs(random)) require_close(name, actual.at(name), expected);
  return Result::agreed;
}

/// The training graph of the mean square of the first smooth output, by a plan and by the reference.
Result run_gradients(const RandomGraph& random) {
  Graph graph = random.graph;
  const FactTable facts = infer(graph);
  const auto is_wanted = [&](ValueId v) { return facts.type(v).elem_type == DataType::float32 && facts.type(v).known_dims(); };
  const auto output = std::find_if(graph.outputs.begin(), graph.outputs.end(), is_wanted);
  if (output == graph.outputs.end()) return Result::nothing_to_check;
  std::vector<ValueId> wanted;
  for (const auto& [v, initializer] : graph.initializers()) {
    if (is_wanted(v) && initializer.tensor.rank() > 0) wanted.push_back(v);
  }
  std::copy_if(graph.inputs.begin(), graph.inputs.end(), std::back_inserter(wanted), is_wanted);
  if (wanted.empty()) return Result::nothing_to_check;
  const AddedLoss loss = add_loss(graph, *output, {.terms = {LossTerm{.kind = LossTerm::Kind::mse}}});
  Tensors feeds = random.feeds;
  feeds[graph.value(loss.inputs[0]).name] = Tensor(DataType::float32, *facts.type(*output).known_dims());
  std::optional<TrainingGraph> training;
  try {
    training = differentiate(graph, loss.loss, wanted);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) throw;
    return Result::nothing_to_check;  // an op without a gradient: autodiff's own tests say which have one
  }
  if (training->gradients.empty()) return Result::nothing_to_check;
  Graph outputs = training->graph;
  outputs.outputs.clear();
  for (const Gradient& g : training->gradients) {
    if (std::find(outputs.outputs.begin(), outputs.outputs.end(), g.grad) == outputs.outputs.end()) outputs.outputs.push_back(g.grad);
  }
  ParameterStore store;
  CompileOptions options;
  for (const auto& [name, tensor] : feeds) options.input_shapes[name] = tensor.dims();
  Plan plan(outputs, store, options);
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  for (auto& [name, expected] : expect(outputs, feeds)) {
    expected.tolerance *= 10;  // sums of many products that cancel
    require_close(name, plan.output_tensor(name), expected);
  }
  return Result::agreed;
}

/// Half of every group goes; the certificate is made in double, at inner values too. Factors like k/n are floats of the
/// graph's own type.
Result run_prune(const RandomGraph& random) {
  UnitTable table = assign_units(random.graph);
  const auto groups = unit_groups(table);
  if (std::none_of(groups.begin(), groups.end(), [](const UnitGroup& g) { return g.free.size() > 1; })) return Result::nothing_to_check;
  const Chosen chosen = choose_units(table, {.counts = keep_share(0.5), .scores = {}, .seed = 3});
  const Certificate certificate = certify(table, chosen.keep, chosen.cut, random.feeds);
  const auto& initializers = random.graph.initializers();
  const bool half = std::any_of(initializers.begin(), initializers.end(), [](const auto& i) {
    return i.second.tensor.type() == DataType::float16 || i.second.tensor.type() == DataType::bfloat16;
  });
  const double allowed = half ? 5e-3 : 1e-6;
  if (certificate.error > allowed) throw std::runtime_error(fmt::format("the certificate's error is {:.3g}", certificate.error));
  if (const auto inner = first_difference(table, chosen.keep, chosen.cut, random.feeds, allowed)) {
    throw std::runtime_error(fmt::format("value '{}' of the cut graph is off by {:.3g}", inner->value, inner->error));
  }
  return Result::agreed;
}

}  // namespace

std::map<std::string, Expected> expected_outputs(const RandomGraph& random) { return expect(random.graph, random.feeds); }

void require_close(const std::string& name, const Tensor& actual, const Expected& expected) {
  const std::string where = "output '" + name + "'";
  if (actual.type() != expected.tensor.type() || actual.dims() != expected.tensor.dims()) {
    throw std::runtime_error(where + " is " + std::string(espalier::name(actual.type())) + to_string(actual.dims()) + ", expected " +
                             std::string(espalier::name(expected.tensor.type())) + to_string(expected.tensor.dims()));
  }
  const auto a = actual.to_doubles(), e = expected.tensor.to_doubles();
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i])) || std::abs(a[i] - e[i]) <= expected.tolerance;
    if (!same) {
      throw std::runtime_error(fmt::format("{} is {:.7g} at {}, expected {:.7g}, tolerance {:.2g}", where, a[i], i, e[i], expected.tolerance));
    }
  }
}

const std::vector<DifferentialCheck>& differential_checks() {
  static const std::vector<DifferentialCheck> checks = {
      {"plan", "a plan of constant weights", [](const RandomGraph& r) { return run_plan(r, true); }},
      {"held", "a plan whose weights lie in the store", [](const RandomGraph& r) { return run_plan(r, false); }},
      {"simplify", "the passes simplify and fuse", run_simplify},
      {"gradients", "a plan of the training graph", run_gradients},
      {"prune", "half the units cut, certified in double", run_prune}};
  return checks;
}

}  // namespace espalier::testing
