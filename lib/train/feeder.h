#pragma once

#include <map>
#include <memory>
#include <string>

#include "lib/train/training_plan.h"

namespace espalier {

/// What data and teacher offer to a loss.
LossSources loss_sources(const Dataset& data, bool teacher);

/// Fills a training plan's inputs, batch by batch: samples, targets, and the scores of a teacher that sees the same samples.
class Feeder {
 public:
  /// `teacher`: a model with the same inputs and as many scores, or nullptr. Compiles it for the full and the last batch.
  /// Throws Error(bad_data) where data, model and teacher do not fit together.
  Feeder(const Graph& model, const Graph* teacher, const TrainingSetup& setup, const Dataset& data, const TrainConfig& config,
         bool shuffle);
  ~Feeder();

  void start_epoch(int64_t epoch) { batcher_.start_epoch(epoch); }
  const Batcher& batcher() const { return batcher_; }
  /// Of the model's inputs by name, without the batch.
  std::map<std::string, Dims> sample_dims() const;
  /// Everything that a run of `plan` on this batch reads. Allocates nothing.
  void fill(Plan& plan, int64_t batch);

 private:
  class Teacher;
  std::vector<InputSlot> slots_;
  std::vector<LossInput> loss_inputs_;
  Batcher batcher_;
  std::unique_ptr<Teacher> teacher_;
};

}  // namespace espalier
