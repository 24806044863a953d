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
  Check(const std::string& text, const GradientCheck& options) : options_(options), forward_(parse_graph(text)) {
    set_thread_count(1);  // the tensors are tiny
    loss_ = forward_.outputs.at(0);
    if (!options.output_is_loss) {
      LossTerm distance;
      distance.kind = LossTerm::Kind::mse;
      loss_ = add_loss(forward_, loss_, {.terms = {distance}}).loss;
      forward_.outputs.push_back(loss_);
    }
    for (size_t i = 0; i < forward_.inputs.size(); ++i) choose_values(forward_.inputs[i], static_cast<uint32_t>(i));
  }

  std::string run() {
    if (wanted_.empty()) return "no gradient is asked for";
    const TrainingGraph training = differentiate(forward_, loss_, wanted_);
    verify(training.graph);
    if (training.gradients.size() != wanted_.size()) return "a gradient is missing";
    const FactTable facts = infer(training.graph);
    const auto results = run_reference(training.graph, feeds_, {.in_double = true});
    std::string faults;
    for (const Gradient& g : training.gradients) {
      const Type &param = facts.type(g.param), &grad = facts.type(g.grad);
      const std::string name = forward_.value(g.param).name;
      if (param.elem_type != grad.elem_type) faults += name + ": gradient is " + grad.str() + "\n";
      faults += compare(name, results.at(training.graph.value(g.grad).name));
    }
    return faults;
  }

 private:
  void choose_values(ValueId id, uint32_t stream) {
    const Value& value = forward_.value(id);
    const auto given = options_.feeds.find(value.name);
    const bool wide = is_float(value.type.elem_type);
    if (given != options_.feeds.end()) feeds_[value.name] = wide ? given->second.cast(DataType::float64) : given->second;
    else feeds_[value.name] = distinct_values(bound_dims(value.type), options_.low, options_.high, stream);
    if (wide && !options_.fixed.contains(value.name) && value.name != "target") wanted_.push_back(id);
  }

  double loss_at(const std::map<std::string, Tensor>& feeds) const {
    return run_reference(forward_, feeds, {.in_double = true}).at(forward_.value(loss_).name).to_doubles().at(0);
  }

  std::string compare(const std::string& name, const Tensor& grad) const {
    const Tensor& at = feeds_.at(name);
    if (grad.dims() != at.dims()) return name + ": gradient has shape " + to_string(grad.dims()) + ", expected " + to_string(at.dims()) + "\n";
    const auto built = grad.to_doubles();
    std::string faults;
    for (int64_t i = 0; i < at.size(); i += std::max<int64_t>(1, at.size() / kMaxElements)) {
      auto feeds = feeds_;
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
  Graph forward_;
  ValueId loss_;
  std::vector<ValueId> wanted_;
  std::map<std::string, Tensor> feeds_;
};

}  // namespace

std::string check_gradients(const std::string& text, const GradientCheck& options) { return Check(text, options).run(); }

}  // namespace espalier::testing
