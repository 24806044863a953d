#pragma once

#include <map>
#include <string>

#include "lib/train/trainer.h"

namespace espalier {

/// Size of the loss's gradient for each trainable parameter, by name: the root of the mean square over batches,
/// element by element, in plain layout. (The mean itself vanishes where a model has been trained; Molchanov et al. 2019
/// square before they add, too.) Loss, teacher, batch size, preprocessing and seed are those of `config`; BatchNorm uses its
/// running statistics, nothing is dropped and nothing augmented. `batches`: at most so many, of a shuffled epoch; full ones
/// only where there is one. TrainData::validation is not used.
/// Throws as train() does, and Error(usage) for `batches` below 1.
std::map<std::string, Tensor> gradient_sizes(const Graph& model, const TrainData& data, const TrainConfig& config, int64_t batches);

}  // namespace espalier
