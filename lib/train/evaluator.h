#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/train/batch_graph.h"
#include "lib/train/metrics.h"

namespace espalier {

struct EvaluateOptions {
  int64_t batch_size = 64;
  std::string output;            ///< name of the output that is judged; empty: the first one
  Augmentation augmentation;     ///< of the samples: each is seen in one view, drawn from `seed`, the same in every run
  uint64_t seed = 0;
  std::function<bool()> stop;    ///< asked before each batch; true throws Error(interrupted). May be empty.
  std::function<void(int64_t, int64_t)> progress;  ///< samples done, of all; may be empty
};

/// A model on one data set, in batches of any size, whatever batch its file has: full ones and the last partial one.
///  - class labels: cross-entropy of the logits (what goes into a final Softmax or LogSoftmax) and top1;
///  - float targets: mse;
///  - no labels: nothing, unless a teacher's scores are given.
class Evaluator {
 public:
  /// `graph`: for inference, at any batch (at_any_batch). With `frozen` its own weights count, else the store's.
  /// The store must outlive this. Throws Error(bad_data) where data do not fit the model, labels are no classes of it, or
  /// targets have another size than the output.
  Evaluator(const Graph& graph, ParameterStore& store, const Dataset& data, const Preprocessing& preprocessing,
            const EvaluateOptions& options, bool frozen = false);

  /// All samples in the data's order. With `teacher` (scores() of another model on the same data) also agreement, and
  /// where there are no labels the KL divergence as loss.
  Metrics run(const Tensor* teacher = nullptr);

  /// Logits (class labels, or none) or outputs (float targets) of all samples: [N, ...].
  Tensor scores();

 private:
  /// Runs batch by batch and hands over scores, their dims and the first sample's number.
  void fill(Plan& plan, int64_t batch);
  void for_each_batch(const std::function<void(std::span<const float>, const Dims&, int64_t, int64_t)>& body);

  Dataset data_;
  EvaluateOptions options_;
  Batcher batcher_;
  std::string score_;  // name of the value that is read
  std::optional<BatchPlans> plans_;
};

/// The whole of it for one model: rebatched, compiled, run.
Metrics evaluate(const Graph& model, const Dataset& data, const Preprocessing& preprocessing, const EvaluateOptions& options = {});

}  // namespace espalier
