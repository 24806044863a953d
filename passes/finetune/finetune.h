#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Trains the model on resources.train and keeps the weights that are best on the validation data (resources.validation, or
/// a share of the training data); the weights it came with count, too (of a pruned model only where all epochs are worse by two
/// standard errors: data that the original was trained on flatter them). Nothing but weights and running statistics changes.
///
/// Learns from the labels, from a teacher, or from both. The teacher is resources.teacher, or the model as the pipeline got
/// it where that is larger (something was pruned since) or there are no labels. Costs time: each epoch is one pass over
/// the data, forward and backward.
/// Throws Error(usage) without data, Error(non_finite) where the loss becomes so, Error(verification) below `floor`.
extern const Pass finetune;

}  // namespace espalier::passes
