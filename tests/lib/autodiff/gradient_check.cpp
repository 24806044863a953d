#include "tests/lib/autodiff/gradient_check.h"

#include <algorithm>
#include <cmath>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"

namespace espalier::testing {
namespace {

constexpr double kStep = 1e-5;
constexpr int64_t kMaxElements = 64;

/// Equally spaced values in random order, none of them 0 where the range is symmetric.
Tensor distinct_values(const Dims& dims, double low, double high, uint32_t stream) {
  Tensor result(DataType::float64, dims);
  const auto out = result.mutable_data<double>();
  const Random random(7, RandomUse::test, stream);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = low + (high - low) * (static_cast<double>(i) + 0.3) / static_cast<double>(out.size());
  }
  if (out.size() == 1) out[0] += (high - low) * 0.07 * (stream % 5);  // single values of two inputs differ, too
  for (size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[random.below(i, i)]);
  return result;
}

Dims bound_dims(const Type& type) {
  Dims dims;
  for (const Dim& d : *type.dims) dims.push_back(d.substitute({{"n", 2}}).value());
  return dims;
}

class Check {
 public:
  Check(const std::string& text, const GradientCheck& options) : options_(options), problem_(gradient_problem(text, options)) {
    set_thread_count(1);  // the tensors are tiny
  }

  std::string run() {
    if (problem_.wanted.empty()) return "no gradient is asked for";
    const TrainingGraph training = differentiate(problem_.graph, problem_.loss, problem_.wanted);
    verify(training.graph);
    if (training.gradients.size() != problem_.wanted.size()) return "a gradient is missing";
    const FactTable facts = infer(training.graph);
    const auto results = run_reference(training.graph, problem_.feeds, {.in_double = true});
    std::string faults;
    for (const Gradient& g : training.gradients) {
      const Type &param = facts.type(g.param), &grad = facts.type(g.grad);
      const std::string name = problem_.graph.value(g.param).name;
      if (param.elem_type != grad.elem_type) faults += name + ": gradient is " + grad.str() + "\n";
      faults += compare(name, results.at(training.graph.value(g.grad).name));
    }
    return faults;
  }

 private:
  double loss_at(const std::map<std::string, Tensor>& feeds) const {
    return run_reference(problem_.graph, feeds, {.in_double = true}).at(problem_.graph.value(problem_.loss).name).to_doubles().at(0);
  }

  std::string compare(const std::string& name, const Tensor& grad) const {
    const Tensor& at = problem_.feeds.at(name);
    if (grad.dims() != at.dims()) return name + ": gradient has shape " + to_string(grad.dims()) + ", expected " + to_string(at.dims()) + "\n";
    const auto built = grad.to_doubles();
    std::string faults;
    for (int64_t i = 0; i < at.size(); i += std::max<int64_t>(1, at.size() / kMaxElements)) {
      auto feeds = problem_.feeds;
      feeds[name].mutable_data<double>()[i] += kStep;
      const double above = loss_at(feeds);
      feeds[name].mutable_data<double>()[i] -= 2 * kStep;
      const double measured = (above - loss_at(feeds)) / (2 * kStep);
      if (std::abs(measured - built[i]) <= options_.tolerance * (1 + std::abs(measured))) continue;
      faults += name + "[" + std::to_string(i) + "]: gradient is " + std::to_string(built[i]) + ", by differences " + std::to_string(measured) + "\n";
    }
    return faults;
  }

  GradientCheck options_;
  GradientProblem problem_;
};

struct GradientTest {
  const char* name;
  void (*cases)();
};

std::vector<GradientTest>& gradient_tests() {
  static std::vector<GradientTest> tests;
  return tests;
}

/// Where check_gradients() writes what it is asked instead of doing it, while the cases are listed.
std::vector<GradientCase>* listed = nullptr;

}  // namespace

std::string check_gradients(const std::string& text, const GradientCheck& options) {
  if (!listed) return Check(text, options).run();
  listed->push_back({"", text, options});
  return "";
}

std::string one(const std::string& declared, const std::string& node, const std::string& constants, int opset) {
  return "graph g (" + declared + ") -> (y) opset " + std::to_string(opset) + " { " + constants + "\n y = " + node + " }";
}

GradientProblem gradient_problem(const std::string& text, const GradientCheck& options) {
  GradientProblem result;
  result.graph = parse_graph(text);
  Graph& graph = result.graph;
  result.loss = graph.outputs.at(0);
  if (!options.output_is_loss) {
    LossTerm distance;
    distance.kind = LossTerm::Kind::mse;
    result.loss = add_loss(graph, result.loss, {.terms = {distance}}).loss;
    graph.outputs.push_back(result.loss);
  }
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    const bool wide = is_float(value.type.elem_type);
    const auto given = options.feeds.find(value.name);
    Tensor& tensor = result.feeds[value.name];
    if (given == options.feeds.end()) tensor = distinct_values(bound_dims(value.type), options.low, options.high, static_cast<uint32_t>(i));
    else tensor = wide ? given->second.cast(DataType::float64) : given->second;
    if (wide && !options.fixed.contains(value.name) && value.name != "target") result.wanted.push_back(graph.inputs[i]);
  }
  return result;
}

bool add_gradient_test(const char* name, void (*cases)()) {
  gradient_tests().push_back({name, cases});
  return true;
}

std::vector<GradientCase> gradient_cases() {
  std::vector<GradientCase> result;
  for (const GradientTest& test : gradient_tests()) {
    const size_t first = result.size();
    listed = &result;
    test.cases();
    listed = nullptr;
    for (size_t i = first; i < result.size(); ++i) result[i].test = test.name;
  }
  return result;
}

}  // namespace espalier::testing
