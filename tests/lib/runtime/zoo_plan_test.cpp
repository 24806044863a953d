#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "lib/runtime/plan.h"
#include "tests/support/environment.h"
#include "tests/support/zoo.h"

namespace espalier {
namespace {

using testing::zoo_models;

/// Largest difference, relative to the largest expected value.
double relative_error(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  double scale = 1e-6, error = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    if (std::isfinite(e[i])) scale = std::max(scale, std::abs(e[i]));
    const bool same = a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]));
    if (!same) error = std::max(error, std::abs(a[i] - e[i]));
  }
  return error / scale;
}

/// Another order of sums moves a value that is rounded to an integer by a whole step.
bool is_quantized(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [&](NodeId id) { return graph.node(id).op_type == "QuantizeLinear"; });
}

class ZooPlan : public ::testing::TestWithParam<bool> {};

/// Plans on the real models give what the reference gives, at 1e-4 of the output's scale; frozen and not.
TEST_P(ZooPlan, RunsLikeTheReference) {
  const auto models = zoo_models("zoo");
  if (models.empty()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  int compared = 0;
  for (const auto& path : models) {
    const Model model = load_model(path);
    const Graph& graph = model.graph;
    if (!testing::all_ops_known(graph)) continue;
    SCOPED_TRACE(path.filename().string());
    const auto sizes = testing::concrete_inputs(graph, 2);
    const auto feeds = testing::random_feeds(graph, sizes, 3);
    std::map<std::string, Tensor> expected;
    try {
      expected = run_reference(graph, feeds);
    } catch (const Error& e) {
      std::cout << "not run: " << path.filename().string() << ": " << e.what() << "\n";
      continue;
    }
    ParameterStore store;
    CompileOptions options;
    options.input_shapes = sizes;
    options.frozen = GetParam();
    try {
      Plan plan(graph, store, options);
      for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
      for (int run = 0; run < 2; ++run) plan.run();  // the second finds the arena as the first left it
      for (const auto& [name, tensor] : expected) {
        EXPECT_LE(relative_error(plan.output_tensor(name), tensor), is_quantized(graph) ? 5e-2 : 1e-4) << name;
      }
      if (GetParam()) {
        std::cout << path.filename().string() << ": " << plan.counters().steps << " steps, "
                  << plan.counters().fallback_steps << " by reference, " << plan.counters().activation_reorders << " reorders\n";
      }
      ++compared;
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  EXPECT_GE(compared, 27);
}

INSTANTIATE_TEST_SUITE_P(Weights, ZooPlan, ::testing::Bool(), [](const auto& test) { return test.param ? "Frozen" : "Held"; });

}  // namespace
}  // namespace espalier
