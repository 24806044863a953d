#pragma once

#include <vector>

#include "lib/data/dataset.h"
#include "lib/data/preprocess.h"
#include "passes/resources.h"
#include "tools/arguments.h"

namespace espalier {

/// --scale, --mean, --std, --layout.
std::vector<OptionSpec> preprocessing_options();
Preprocessing preprocessing_of(const Arguments& arguments);

/// The data set that an option names, with the arrays that the model's inputs need.
Dataset dataset_of(const Arguments& arguments, const std::string& option, const Graph& graph);

/// The first samples of a data set as graph inputs, at most `samples` of them: one set of feeds, or one a sample where
/// the model's batch is fixed at 1. Throws Error(bad_data) where data and model do not fit.
std::vector<Feeds> feeds_of(const Dataset& data, const Preprocessing& preprocessing, const Graph& graph, int64_t samples);

}  // namespace espalier
