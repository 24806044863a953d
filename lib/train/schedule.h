#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lib/train/spec_text.h"

namespace espalier {

/// How the learning rate goes over a run: a factor of the time t in epochs, the run's length T, and the warm-up w.
///
///     constant      1
///     step          gamma^floor((t - w) / every)
///     exponential   gamma^(t - w)
///     cosine        min + (1 - min) (1 + cos(pi (t - w) / (T - w))) / 2
///
/// Before t = w (`warmup=`, in epochs, with every schedule) the factor rises from 0 in a straight line, so that step k of n
/// warm-up steps has (k + 1) / n.
/// Source: Goyal et al. 2017 (warm-up, step), Loshchilov and Hutter 2017 (cosine, without restarts).
class Schedule {
 public:
  Schedule();  ///< constant

  /// "cosine", "step{every=10 gamma=0.1}", "exponential{gamma=0.9 warmup=1}". Throws Error(usage).
  static Schedule parse(std::string_view text);

  /// Factor for a step (from 0) of a run of `epochs` epochs with `steps_per_epoch` steps each.
  double factor(int64_t step, int64_t steps_per_epoch, int64_t epochs) const;

  const std::string& name() const { return name_; }

 private:
  Schedule(std::string name, ParameterValues values) : name_(std::move(name)), values_(std::move(values)) {}

  std::string name_;
  ParameterValues values_;
};

/// Names of all schedules.
std::span<const std::string_view> schedule_names();

}  // namespace espalier
