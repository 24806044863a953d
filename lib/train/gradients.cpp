#include "lib/train/gradients.h"

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/train/feeder.h"

namespace espalier {

std::map<std::string, Tensor> gradient_sizes(const Graph& model, const TrainData& data, const TrainConfig& given, int64_t batches) {
  if (batches < 1) throw Error(ErrorKind::usage, "batches is " + std::to_string(batches) + ", expected at least 1");
  TrainConfig config = given;
  config.check();
  config.batch_size = std::min(config.batch_size, data.train->size());
  config.freeze_batch_norm = true;
  config.dropout = false;
  config.augmentation = {};
  input_slots(model);
  const TrainingSetup setup = prepare_training(model, config, loss_sources(*data.train, data.teacher != nullptr));
  Feeder feeder(model, data.teacher, setup, *data.train, config, true);
  ParameterStore store;
  BatchPlans plans(setup.training, store, feeder.sample_dims());  // gradients stay outputs, in plain layout
  Plan& plan = plans.plan(config.batch_size);
  const Dims& scores = plan.output_dims(setup.scores);
  if (data.train->labelled() && data.train->has_classes() && scores.size() >= 2) check_labels(*data.train, scores[1]);

  const int64_t count = std::min(batches, std::max<int64_t>(1, data.train->size() / config.batch_size));
  std::map<std::string, std::vector<double>> squares;
  for (int64_t b = 0; b < count; ++b) {
    feeder.fill(plan, b);
    plan.run();
    for (const auto& [value, parameter] : setup.options.gradients) {
      const auto grad = plan.output_as<float>(value);
      auto& sums = squares[value];
      sums.resize(grad.size());
      for (size_t i = 0; i < grad.size(); ++i) sums[i] += static_cast<double>(grad[i]) * static_cast<double>(grad[i]);
    }
  }
  std::map<std::string, Tensor> result;
  for (const auto& [value, parameter] : setup.options.gradients) {
    Tensor size(DataType::float32, plan.output_dims(value));
    const auto out = size.mutable_data<float>();
    const auto& sums = squares.at(value);
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(std::sqrt(sums[i] / static_cast<double>(count)));
      if (!std::isfinite(out[i])) {
        throw Error(ErrorKind::non_finite, "gradient of parameter '" + parameter + "' is infinite or NaN");
      }
    }
    result.emplace(parameter, std::move(size));
  }
  return result;
}

}  // namespace espalier
