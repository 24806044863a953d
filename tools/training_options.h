#pragma once

#include <memory>
#include <vector>

#include "lib/report/progress.h"
#include "tools/command.h"
#include "tools/data_options.h"

namespace espalier {

/// --train, --val, --val-augment and the preprocessing options.
std::vector<OptionSpec> training_data_options();

/// Data, teacher and listeners that a job's resources point to.
struct TrainingOwned {
  Dataset train, validation;
  Model teacher;
  Progress progress;
};

/// Opens what the options name into `resources`; `option` is the one that names the data ("train", "data"). What
/// `resources` then points to is returned. Data set apart for validation is parted here, so that pruning and training agree.
std::shared_ptr<TrainingOwned> open_training_data(const Arguments& arguments, const std::string& option, const Graph& graph,
                                                  Resources& resources);

/// The options of a pass that were typed as options of the command.
PassOptions pass_options(const Arguments& arguments, const Pass& pass);

}  // namespace espalier
