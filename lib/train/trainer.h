#pragma once

#include "lib/data/dataset.h"
#include "lib/graph/graph.h"
#include "lib/train/config.h"

namespace espalier {

/// What a run learns from.
struct TrainData {
  const Dataset* train = nullptr;       ///< labelled, or with a teacher
  const Dataset* validation = nullptr;  ///< nullptr: TrainConfig::validation_fraction of `train`
  const Graph* teacher = nullptr;       ///< a model with the same inputs and as many scores; may be nullptr
};

/// Trains `model` in place: its parameters, and the running statistics of its BatchNormalization nodes. The weights kept are
/// those with the best validation metrics, the ones it came with included (TrainConfig::incoming_margin); nothing else of the model changes. Prints
/// nothing. The same seed, thread count and machine type give the same bits.
/// On any exception the model is as it was: Error(usage) for configuration, Error(bad_data) for models and data that do not fit,
/// Error(non_finite) with the step where the loss became infinite or NaN, Error(interrupted) where TrainEvents::stop said so.
TrainResult train(Graph& model, const TrainData& data, const TrainConfig& config, const TrainEvents& events = {});

}  // namespace espalier
