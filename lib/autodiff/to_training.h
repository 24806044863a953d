#pragma once

#include <cstdint>

#include "lib/graph/graph.h"

namespace espalier {

struct ToTrainingOptions {
  enum class BatchNorm { batch, frozen };
  BatchNorm batch_norm = BatchNorm::batch;
  bool dropout = true;  ///< Dropout drops with the ratio of the model; false: it stays the identity
  bool random_steps = true;  ///< RandomNormal and its like draw other numbers in each step; false: they stay as they are
  uint64_t seed = 0;    ///< of dropout, and of nodes that draw numbers and have no `seed` of their own
};

/// Prepares an inference graph for training. The ids of all its values stay.
///  - Trainable constants (lib/analysis/trainable.h) of Constant nodes become initialisers, and initialised graph inputs
///    (IR < 4) are inputs no longer.
///  - BatchNormalization of constant statistics normalises with those of the batch (version 15, training_mode = 1) and
///    updates the running ones: running = momentum * running + (1 - momentum) * batch, population variance, ONNX's
///    `momentum`. Each updated statistic is a graph output and a state pair with the initialiser it replaces. Statistics
///    shared by several nodes are unshared first. With BatchNorm::frozen the given statistics are constants.
///  - Dropout becomes DropoutTraining, whose input `step` (int64 scalar, graph input with initialiser 0, state pair) counts
///    the steps. Dropout whose mask is read stays the identity. Other nodes that draw numbers become their forms in our
///    domain, which read the same `step` as one input more.
Graph to_training(const Graph& graph, const ToTrainingOptions& options = {});

/// Gives each BatchNormalization node its own mean and variance, where files share equal initialisers. Changes nothing that
/// the graph computes; to be applied to the model as well if its statistics are to be written back by id.
void unshare_running_statistics(Graph& graph);

/// The value that a loss over classes should be calculated from: what goes into the final Softmax or LogSoftmax over axis
/// 1, if `output` comes from one (directly, or through Identity or inference Dropout); else `output` itself.
ValueId find_logits(const Graph& graph, ValueId output);

}  // namespace espalier
