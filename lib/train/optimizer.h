#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kernels/kernel.h"
#include "lib/runtime/parameter_store.h"
#include "lib/train/optimizer_rule.h"

namespace espalier {

/// A rule and its numbers: "adamw", "momentum{mu=0.95 averaged=1}". Throws Error(usage) for what is not known.
struct OptimizerSpec {
  const OptimizerRule* rule;
  ParameterValues values;
};
OptimizerSpec parse_optimizer(std::string_view text);

/// What a step adds to the loss's gradient, for parameters that decay.
struct Regularization {
  double l1 = 0;            ///< coupled: l1 * sum |w| is part of the loss
  double l2 = 0;            ///< coupled: l2 / 2 * sum w^2 is part of the loss
  double weight_decay = 0;  ///< decoupled, a step of learning rate lr takes lr * weight_decay of each weight
};

/// How one parameter differs from the others.
struct ParameterTuning {
  double learning_rate_scale = 1;
  double decay_scale = 1;  ///< of l1, l2 and weight_decay
};

/// Applies one rule to all parameters of a store, in one parallel loop. Results do not depend on the number of threads.
class Optimizer {
 public:
  /// `tuning`: one a block. Takes the memory for the moments. Throws Error(internal) if the counts differ.
  Optimizer(OptimizerSpec spec, const Regularization& regularization, std::vector<ParameterBlock> blocks,
            std::vector<ParameterTuning> tuning);

  /// One step on the gradients that the last run left. `max_norm` > 0: gradients are scaled down together where the
  /// norm of all of them is above it. Returns that norm before scaling (NaN where max_norm is 0: not calculated);
  /// where it is not finite nothing is changed. Allocates nothing.
  double step(double learning_rate, double max_norm = 0);

  int64_t steps() const { return steps_; }

 private:
  struct Piece {
    size_t block;
    int64_t begin, count;
  };
  double gradient_norm();

  OptimizerSpec spec_;
  Regularization regularization_;
  std::vector<ParameterBlock> blocks_;
  std::vector<ParameterTuning> tuning_;
  std::vector<Piece> pieces_;
  std::vector<double> sums_;            // by piece
  std::vector<AlignedBuffer> moments_;  // by block and moment
  int64_t steps_ = 0;
};

}  // namespace espalier
