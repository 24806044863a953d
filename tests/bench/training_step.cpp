// Milliseconds of a training step (forward, loss, backward, SGD with momentum) of one net.
//   training_step resnet20|mobilenet|lenet STEPS [profile]
// tests/bench/training_steps runs it beside the raw oneDNN prototype.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "lib/analysis/infer.h"
#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/autodiff/to_training.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/support/nets.h"

using namespace espalier;

namespace {

struct Net {
  std::string text;
  Dims input;
  int64_t classes;
};

Net net_of(const std::string& name) {
  if (name == "resnet20") return {resnet20_text(), {128, 3, 32, 32}, 10};
  if (name == "lenet") return {lenet_text(), {128, 1, 28, 28}, 10};
  return {mobilenet_v2_text(), {16, 3, 224, 224}, 1000};
}

void momentum_step(const std::vector<ParameterBlock>& blocks, std::vector<std::vector<float>>& velocity) {
  parallel_for(static_cast<int64_t>(blocks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const ParameterBlock& b = blocks[static_cast<size_t>(i)];
      float* v = velocity[static_cast<size_t>(i)].data();
      for (int64_t k = 0; k < b.count; ++k) {
        v[k] = 0.9f * v[k] + b.grad[k];
        b.value[k] -= 0.001f * v[k];
      }
    }
  });
}

void print_profile(const Plan& plan) {
  std::map<std::string, double> by_op;
  double total = 0;
  for (const StepProfile& step : plan.profile()) {
    by_op[step.op + " " + step.implementation] += step.milliseconds;
    total += step.milliseconds;
  }
  std::vector<std::pair<double, std::string>> rows;
  for (const auto& [op, ms] : by_op) rows.emplace_back(ms, op);
  std::sort(rows.rbegin(), rows.rend());
  for (const auto& [ms, op] : rows) std::printf("  %-60s %8.3f ms %5.1f %%\n", op.c_str(), ms, 100 * ms / total);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "resnet20";
  const int steps = argc > 2 ? std::atoi(argv[2]) : 5;
  const Net net = net_of(name);
  Graph graph = to_training(parse_graph(net.text));
  const auto wanted = trainable_parameters(graph, infer(graph));
  const AddedLoss loss = add_loss(graph, graph.outputs[0], {{LossTerm{}}});
  const TrainingGraph training = differentiate(graph, loss.loss, wanted);
  CompileOptions options;
  options.input_shapes = {{"x", net.input}, {"labels", {net.input[0]}}};
  for (const Gradient& g : training.gradients) {
    options.gradients[training.graph.value(g.grad).name] = training.graph.value(g.param).name;
  }
  ParameterStore store;
  Plan plan(training.graph, store, options);
  const Random random(1, RandomUse::test);
  auto x = plan.input_as<float>("x");
  for (size_t i = 0; i < x.size(); ++i) x[i] = random.normal(i);
  auto y = plan.input_as<int64_t>("labels");
  for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<int64_t>(i * 37) % net.classes;

  auto blocks = store.trained();
  std::vector<std::vector<float>> velocity;
  for (const ParameterBlock& b : blocks) velocity.emplace_back(b.count);
  std::vector<double> times;
  if (argc > 3) plan.set_profiling(true);
  for (int i = 0; i < steps + 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    plan.run();
    momentum_step(blocks, velocity);
    store.refresh();
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    if (i >= 2) times.push_back(taken.count());
  }
  std::sort(times.begin(), times.end());
  const PlanCounters& c = plan.counters();
  std::printf("RESULT %s min %.2f med %.2f max %.2f ms | threads %d steps %ld reorders %ld (inner %ld) weight %ld+%ld fallback %ld arena %.1f MiB loss %.4f\n",
              name.c_str(), times.front(), times[times.size() / 2], times.back(), thread_count(), static_cast<long>(c.steps),
              static_cast<long>(c.activation_reorders), static_cast<long>(c.inner_reorders),
              static_cast<long>(c.weight_reorders), static_cast<long>(store.weight_reorders()),
              static_cast<long>(c.fallback_steps), static_cast<double>(c.arena_bytes) / 1048576,
              static_cast<double>(plan.output_as<float>(training.graph.value(training.loss).name)[0]));
  if (argc > 3) print_profile(plan);
}
