#pragma once

#include <set>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/data/preprocess.h"
#include "lib/graph/graph.h"

namespace espalier::testing {

/// What a model is to learn, and how. The loss is cross-entropy for class labels, the mean squared error for float targets.
struct Lesson {
  Dataset data;                ///< 256 samples
  double learning_rate = 2e-3; ///< of adam, constant
  int64_t epochs = 2;
  int64_t batch_size = 32;
  Preprocessing preprocessing = {};
  std::set<std::string> states = {};  ///< constants that are no weights: where a recurrence begins
};

/// Trains the model's first output and expects that
///  - every float constant of more than one element that the output is calculated from is trained (running
///    statistics, what Resize reads and the lesson's states apart),
///  - one batch gives each of them a gradient that is not zero,
///  - the mean loss of the last epoch is below 0.9 of the first batch's.
/// Prints both losses.
void expect_learns(const Graph& model, const Lesson& lesson);

/// A model of the zoo by name. Throws where it is absent: `needs_zoo` comes first.
Graph zoo_model(const std::string& name);

/// Without the nodes that no output needs.
Graph without_dead_nodes(Graph graph);

/// `input` is no longer an input but fixed to these values.
Graph with_fixed_input(Graph graph, const std::string& input, Tensor values);

/// The model reads `input` through a Transpose: what its first axis counts is samples.
Graph with_samples_first(Graph graph, const std::string& input, std::vector<int64_t> perm);

/// Standard normal numbers; another stream, other numbers.
Tensor normals(const Dims& dims, uint32_t stream);

/// Noise as x; as target of `output` [N, ...] what follows x smoothly, between 0.1 and 0.5.
Dataset smooth_targets(const std::string& input, const Dims& x, const Dims& output);

/// Noise in which every row (last axis but one) of number r is louder where r modulo `classes` is the sample's label.
Dataset loud_rows(const std::string& input, const Dims& x, int64_t classes);

/// The first 256 images of a shared data set, bytes as they are.
Dataset images(const std::string& file);

}  // namespace espalier::testing
