#include "tests/lib/runtime/plan_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"

namespace espalier::testing {
namespace {

Tensor random_tensor(DataType type, const Dims& dims, uint32_t stream, const PlanCheck& how) {
  const Random random(23, RandomUse::test, stream);
  Tensor t(DataType::float32, dims);
  const auto values = t.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = is_float(type) ? how.low + (how.high - how.low) * random.uniform(i) : static_cast<float>(random.below(i, static_cast<uint64_t>(how.integers)));
  }
  return t.cast(type);
}

void expect_close(const Tensor& actual, const Tensor& expected, const std::string& what, double tolerance) {
  ASSERT_EQ(actual.dims(), expected.dims()) << what;
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  double scale = 1e-6, error = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    if (std::isfinite(e[i])) scale = std::max(scale, std::abs(e[i]));
    const bool same = a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]));
    const double off = same ? 0 : std::abs(a[i] - e[i]);
    error = std::max(error, std::isnan(off) ? INFINITY : off);
  }
  EXPECT_LE(error / scale, tolerance) << what;
}

}  // namespace

std::set<std::string> check_plan(const std::string& text, const PlanCheck& how) {
  SCOPED_TRACE(text);
  set_thread_count(2);
  Graph graph = parse_graph(text);
  std::vector<ValueId> wanted;
  std::map<std::string, Tensor> feeds = how.feeds;
  const auto feed = [&](ValueId v) {
    const Value& value = graph.value(v);
    if (!feeds.contains(value.name)) feeds[value.name] = random_tensor(value.type.elem_type, *value.type.known_dims(), static_cast<uint32_t>(v), how);
  };
  for (const ValueId v : graph.inputs) {
    feed(v);
    if (is_float(graph.value(v).type.elem_type) && !graph.value(v).name.starts_with("fixed")) wanted.push_back(v);
  }
  if (how.backward) {
    LossTerm distance;
    distance.kind = LossTerm::Kind::mse;
    const ValueId loss = add_loss(graph, graph.outputs[0], {.terms = {distance}}).loss;
    feed(graph.inputs.back());
    graph = differentiate(graph, loss, wanted).graph;
  }
  const auto expected = run_reference(graph, feeds, {.in_double = true});
  ParameterStore store;
  Plan plan(graph, store, {});
  EXPECT_TRUE(plan.is_static());
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  for (int run = 0; run < 2; ++run) plan.run();
  for (const ValueId v : graph.outputs) {
    const std::string& name = graph.value(v).name;
    expect_close(plan.output_tensor(name), expected.at(name), name, how.tolerance);
  }
  std::set<std::string> slow;
  for (const StepProfile& step : plan.profile()) {
    if (step.implementation == "reference") slow.insert(step.op);
  }
  return slow;
}

void expect_fast(const std::string& text, const PlanCheck& how) { EXPECT_EQ(check_plan(text, how), std::set<std::string>{}) << text; }

}  // namespace espalier::testing
