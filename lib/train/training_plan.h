#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/autodiff/loss.h"
#include "lib/train/batch_graph.h"
#include "lib/train/config.h"

namespace espalier {

/// What a loss term compares with: a graph input to be filled before each run.
struct LossInput {
  LossTerm::Kind kind;
  std::string name;
  bool from_teacher = false;  ///< filled with the teacher's scores, else with the data's targets
};

/// A model made ready for training: forward, loss and backward in one graph.
struct TrainingSetup {
  Graph base;       ///< the model at any batch, its BatchNorm statistics unshared if they are trained
  Graph inference;  ///< the same for validation: parameters are initialisers of the same names
  Graph training;   ///< forward of the scores, loss, backward
  std::string loss, scores;  ///< names of values of `training`
  std::vector<LossInput> inputs;
  CompileOptions options;    ///< for plans of `training`: where the gradients go
  std::vector<std::string> trained;     ///< names of the parameters, in order of first use
  std::vector<std::string> statistics;  ///< names of the running statistics
};

/// What the data and the teacher offer to a loss.
struct LossSources {
  bool classes = false, values = false;  ///< labels of this kind
  bool teacher = false;
};

/// Prepares a model. Throws Error(usage) where the loss needs labels or a teacher that are not there or everything is frozen, and
/// Error(bad_data) for a model that cannot be trained (an op on the way has no gradient; parameters that are not float).
TrainingSetup prepare_training(const Graph& model, const TrainConfig& config, const LossSources& sources);

/// Brings what was trained back into the model: values by name from the store.
void write_back(Graph& model, const TrainingSetup& setup, const std::map<std::string, Tensor>& values);

/// Factors of one parameter by rank and groups.
bool is_frozen(const TrainConfig& config, const std::string& parameter);

}  // namespace espalier
