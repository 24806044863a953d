#pragma once

#include <memory>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/runtime/plan.h"

namespace espalier {

/// Times of single runs, in milliseconds.
struct Timing {
  double median = 0, fastest = 0, slowest = 0;
  int64_t runs = 0;
};

/// A model compiled for inference at one batch, inputs generated.
class TimedModel {
 public:
  /// `batch` samples, whatever batch the file has (rebatch). Throws Error(bad_data) where the model cannot be run.
  TimedModel(const Graph& graph, int64_t batch, uint64_t seed);

  Plan& plan() { return *plan_; }

 private:
  ParameterStore store_;
  std::unique_ptr<Plan> plan_;
};

/// Runs the models in turns, so that what disturbs one disturbs all: `warm_up` rounds, then until each has run for
/// `seconds` in all and at least `least_runs` times.
std::vector<Timing> time_in_turns(const std::vector<TimedModel*>& models, double seconds, int64_t least_runs = 20,
                                  int64_t warm_up = 5);

}  // namespace espalier
