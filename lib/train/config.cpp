#include "lib/train/config.h"

#include <cmath>
#include <regex>

#include "lib/base/error.h"
#include "lib/train/optimizer.h"
#include "lib/train/schedule.h"

namespace espalier {
namespace {

void require(bool holds, const std::string& name, double value, const std::string& expected) {
  if (holds) return;
  std::string text = std::to_string(value);
  if (text.find('.') != std::string::npos && std::isfinite(value)) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  throw Error(ErrorKind::usage, name + " is " + text + ", expected " + expected);
}

bool at_least(double value, double least) { return std::isfinite(value) && value >= least; }

void check_group(const ParameterGroup& group) {
  try {
    const std::regex pattern(group.pattern);
  } catch (const std::regex_error& error) {
    throw Error(ErrorKind::usage, "pattern '" + group.pattern + "' is not a regular expression: " + error.what());
  }
  require(at_least(group.learning_rate_scale, 0), "learning rate scale of '" + group.pattern + "'", group.learning_rate_scale, "at least 0");
  require(at_least(group.decay_scale, 0), "decay scale of '" + group.pattern + "'", group.decay_scale, "at least 0");
}

}  // namespace

LossKind parse_loss(const std::string& text) {
  if (text == "auto") return LossKind::automatic;
  if (text == "cross-entropy") return LossKind::cross_entropy;
  if (text == "mse") return LossKind::mse;
  if (text == "distillation") return LossKind::distillation;
  throw Error(ErrorKind::usage, "loss '" + text + "' is not known").hint("there are auto, cross-entropy, mse, distillation");
}

void TrainConfig::check() const {
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  require(epochs >= 1 && epochs <= 1000000, "epochs", number(epochs), "1 to 1000000");
  require(batch_size >= 1 && batch_size <= 1000000, "batch size", number(batch_size), "1 to 1000000");
  require(evaluation_batch_size >= 1 && evaluation_batch_size <= 1000000, "evaluation batch size", number(evaluation_batch_size), "1 to 1000000");
  parse_optimizer(optimizer);
  Schedule::parse(schedule);
  if (learning_rate) require(std::isfinite(*learning_rate) && *learning_rate > 0, "learning rate", *learning_rate, "more than 0");
  require(at_least(l1, 0), "l1", l1, "at least 0");
  require(at_least(l2, 0), "l2", l2, "at least 0");
  if (weight_decay) require(at_least(*weight_decay, 0), "weight decay", *weight_decay, "at least 0");
  require(at_least(clip_norm, 0), "largest gradient norm", clip_norm, "at least 0");
  for (const ParameterGroup& group : groups) check_group(group);
  require(at_least(teacher_weight, 0) && teacher_weight <= 1, "weight of the teacher", teacher_weight, "0 to 1");
  require(std::isfinite(temperature) && temperature > 0, "temperature", temperature, "more than 0");
  require(validation_fraction > 0 && validation_fraction < 1, "validation fraction", validation_fraction, "one between 0 and 1");
}

}  // namespace espalier
