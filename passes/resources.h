#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/data/batcher.h"
#include "lib/data/dataset.h"
#include "lib/data/preprocess.h"
#include "lib/train/config.h"
#include "passes/pass.h"

namespace espalier {

/// What a pipeline is given beside the model. Nothing here is owned by a pass.
struct Resources {
  uint64_t seed = 0;
  /// Graph inputs to check with; empty: generated ones.
  std::vector<Feeds> check_inputs;
  /// Whether `exact` and `equal` are checked by comparing outputs (`masked` and `trained` always are).
  bool verify = true;
  /// Sizes for symbols of the model's inputs ("batch" -> 4) when inputs are generated; others are guessed.
  std::map<std::string, int64_t> symbols;
  /// The model as it came in, which teaches what was pruned; set by Pipeline::run where it is null.
  const Model* original = nullptr;

  /// Samples for passes that learn or measure; null where the user gave none. With `validation` null, a share of `train`
  /// is set aside by who trains.
  const Dataset* train = nullptr;
  const Dataset* validation = nullptr;
  Augmentation validation_augmentation;  ///< TrainConfig's, for all that judge on validation data or refit to the original
  Preprocessing preprocessing;
  /// A model that teaches, given by the user; null: `original` may.
  const Model* teacher = nullptr;

  /// Who listens to training; its `stop` is taken from below.
  TrainEvents events;

  /// Called with one line at a time about what is being done; may be empty.
  std::function<void(const std::string&)> log;
  /// Called with the pass's number (from 1), its text and the graph after it; may be empty.
  std::function<void(int, const std::string&, const Graph&)> dump;
  /// Whether to stop as soon as possible, with Error(interrupted); may be empty.
  std::function<bool()> stop;
};

/// Throws Error(interrupted) if resources.stop says so.
void stop_if_asked(const Resources& resources);

}  // namespace espalier
