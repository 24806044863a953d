#include "tools/timing.h"

#include <algorithm>
#include <chrono>

#include "lib/train/batch_graph.h"
#include "passes/check_inputs.h"

namespace espalier {
namespace {

Timing summary(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), times.back(), static_cast<int64_t>(times.size())};
}

/// Whether the file's own sizes are those of the batch already: of its first input, where states beside it have other axes.
bool has_batch(const Graph& graph, int64_t batch) {
  const auto fed = fed_inputs(graph);
  const auto known = [&](ValueId v) { return graph.value(v).type.is_tensor() && graph.value(v).type.known_dims(); };
  if (fed.empty() || !std::all_of(fed.begin(), fed.end(), known)) return false;
  const Dims dims = *graph.value(fed.front()).type.known_dims();
  return !dims.empty() && dims.front() == batch;
}

}  // namespace

TimedModel::TimedModel(const Graph& original, int64_t batch, uint64_t seed) {
  const Graph graph = has_batch(original, batch) ? original : at_any_batch(original, batch);
  CompileOptions options;
  options.frozen = true;
  std::map<std::string, Dims> dims = choose_input_dims(graph, {});
  for (auto& [name, sizes] : dims) {
    const auto& declared = graph.value(graph.find_value(name)).type.dims;
    if (!sizes.empty() && declared && !declared->front().known()) sizes[0] = batch;
  }
  options.input_shapes = dims;
  plan_ = std::make_unique<Plan>(graph, store_, options);
  for (const auto& [name, tensor] : generate_inputs(graph, dims, seed, 0)) plan_->feed(name, tensor);
}

std::vector<Timing> time_in_turns(const std::vector<TimedModel*>& models, double seconds, int64_t least_runs,
                                  int64_t warm_up) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> times(models.size());
  double spent = 0;
  for (int64_t round = 0; round < warm_up + least_runs || spent < seconds * static_cast<double>(models.size()); ++round) {
    for (size_t i = 0; i < models.size(); ++i) {
      const auto start = Clock::now();
      models[i]->plan().run();
      const double taken = std::chrono::duration<double>(Clock::now() - start).count();
      if (round < warm_up) continue;
      times[i].push_back(1e3 * taken);
      spent += taken;
    }
  }
  std::vector<Timing> result;
  for (auto& t : times) result.push_back(summary(std::move(t)));
  return result;
}

}  // namespace espalier
