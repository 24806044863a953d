#include "lib/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lib/base/error.h"

namespace espalier {
namespace {

constexpr double kLong = 1e6;
constexpr Parameter kWarmup = {"warmup", 0, 0, kLong, "epochs in which the rate rises from 0"};
constexpr Parameter kConstant[] = {kWarmup};
constexpr Parameter kStep[] = {{"every", 10, 1e-3, kLong, "epochs between two steps"}, {"gamma", 0.1, 1e-6, 1, "factor of a step"}, kWarmup};
constexpr Parameter kExponential[] = {{"gamma", 0.95, 1e-6, 1, "factor of an epoch"}, kWarmup};
constexpr Parameter kCosine[] = {{"min", 0, 0, 1, "share of the rate at the end"}, kWarmup};
constexpr std::string_view kNames[] = {"constant", "cosine", "exponential", "step"};

std::span<const Parameter> parameters_of(std::string_view name) {
  if (name == "constant") return kConstant;
  if (name == "step") return kStep;
  if (name == "exponential") return kExponential;
  if (name == "cosine") return kCosine;
  throw Error(ErrorKind::usage, "schedule '" + std::string(name) + "' is not known").hint("there are constant, cosine, exponential, step");
}

}  // namespace

std::span<const std::string_view> schedule_names() { return kNames; }

Schedule::Schedule() : Schedule(parse("constant")) {}

Schedule Schedule::parse(std::string_view text) {
  const SpecText spec = parse_spec_text(text, "schedule");
  return {spec.name, parameter_values(spec, parameters_of(spec.name), "schedule")};
}

double Schedule::factor(int64_t step, int64_t steps_per_epoch, int64_t epochs) const {
  const auto per_epoch = static_cast<double>(std::max<int64_t>(1, steps_per_epoch));
  const double warmup = std::min(values_.at("warmup"), static_cast<double>(epochs));
  const double warmup_steps = warmup * per_epoch;
  if (static_cast<double>(step) < warmup_steps) return std::min(1.0, (static_cast<double>(step) + 1) / warmup_steps);
  const double t = static_cast<double>(step) / per_epoch - warmup;
  if (name_ == "step") return std::pow(values_.at("gamma"), std::floor(t / values_.at("every") + 1e-9));
  if (name_ == "exponential") return std::pow(values_.at("gamma"), t);
  if (name_ == "cosine") {
    const double length = std::max(static_cast<double>(epochs) - warmup, 1e-9);
    const double low = values_.at("min");
    return low + (1 - low) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, t / length)));
  }
  return 1;
}

}  // namespace espalier
