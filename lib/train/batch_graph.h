#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/data/batcher.h"
#include "lib/graph/graph.h"
#include "lib/runtime/plan.h"

namespace espalier {

/// The model's inputs that data must be given for: those without an initialiser, axis 0 (the samples) left out.
/// Throws Error(bad_data) for an input that is no tensor of known rank with an axis of samples.
std::vector<InputSlot> input_slots(const Graph& graph);

/// The graph itself if axis 0 of all its inputs is open; else the graph rebatched to `batch`, which then runs at any. A
/// graph that is written for `batch` samples and cannot be rebatched is returned as it is: it runs at that batch alone.
/// Throws Error(bad_data) for one that is written for another batch, naming the node where samples would meet.
Graph at_any_batch(const Graph& graph, int64_t batch);
/// The batch that the graph is written for if it runs at that one alone; 0 otherwise.
int64_t only_batch(const Graph& graph);

/// The value that the model is judged by: the output of that name, or the first one where `name` is empty.
/// Throws Error(usage) naming the outputs that there are.
ValueId find_output(const Graph& graph, const std::string& name);

/// Plans of one graph for several batch sizes over one store.
class BatchPlans {
 public:
  /// `sample_dims`: of inputs by name, without the batch. Inputs of the graph that are not named have the batch in axis 0
  /// and their declared sizes in the others. The store must outlive this.
  BatchPlans(Graph graph, ParameterStore& store, std::map<std::string, Dims> sample_dims, CompileOptions options = {});

  /// The plan for `batch` samples, compiled when first asked for: ask for the largest first, it fixes the layouts of the
  /// masters. Throws as Plan does.
  Plan& plan(int64_t batch);

  const Graph& graph() const { return graph_; }

 private:
  Graph graph_;
  ParameterStore& store_;
  std::map<std::string, Dims> sample_dims_;
  CompileOptions options_;
  std::map<int64_t, std::unique_ptr<Plan>> plans_;
};

}  // namespace espalier
