#include "lib/train/feeder.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "lib/autodiff/to_training.h"
#include "lib/base/error.h"

namespace espalier {

LossSources loss_sources(const Dataset& data, bool teacher) {
  return {data.labelled() && data.has_classes(), data.labelled() && !data.has_classes(), teacher};
}

class Feeder::Teacher {
 public:
  Teacher(const Graph& model, const TrainConfig& config, bool classes, const std::vector<InputSlot>& student,
          const std::map<std::string, Dims>& student_dims)
      : slots_(input_slots(model)) {
    Graph graph = at_any_batch(model, config.batch_size);
    const ValueId output = find_output(graph, config.output);
    const ValueId scores = classes ? find_logits(graph, output) : output;
    scores_ = graph.value(scores).name;
    graph.outputs = {scores};
    if (student.size() != slots_.size()) {
      throw Error(ErrorKind::bad_data, "the teacher has " + std::to_string(slots_.size()) + " inputs, the model " + std::to_string(student.size()));
    }
    std::map<std::string, Dims> dims;
    for (size_t i = 0; i < slots_.size(); ++i) dims[slots_[i].name] = student_dims.at(student[i].name);
    CompileOptions options;
    options.frozen = true;
    plans_.emplace(std::move(graph), store_, std::move(dims), options);
  }

  Plan& plan(int64_t batch) { return plans_->plan(batch); }

  /// Scores for the samples that lie in the student's plan.
  std::span<const std::byte> teach(Plan& student, const std::vector<InputSlot>& slots, int64_t batch) {
    Plan& own = plan(batch);
    for (size_t i = 0; i < slots.size(); ++i) {
      const auto from = student.input(slots[i].name), to = own.input(slots_[i].name);
      if (from.size() != to.size()) {
        throw Error(ErrorKind::bad_data, "the teacher's input '" + slots_[i].name + "' has another size than the model's");
      }
      std::memcpy(to.data(), from.data(), from.size());
    }
    own.run();
    return own.output(scores_);
  }

 private:
  std::vector<InputSlot> slots_;
  std::string scores_;
  ParameterStore store_;
  std::optional<BatchPlans> plans_;
};

Feeder::Feeder(const Graph& model, const Graph* teacher, const TrainingSetup& setup, const Dataset& data, const TrainConfig& config,
               bool shuffle)
    : slots_(input_slots(model)),
      loss_inputs_(setup.inputs),
      batcher_(data, slots_, config.preprocessing,
               BatcherOptions{std::min(config.batch_size, data.size()), shuffle, config.seed, config.augmentation}) {
  if (!teacher) return;
  const bool classes = std::any_of(loss_inputs_.begin(), loss_inputs_.end(), [](const LossInput& input) { return input.kind != LossTerm::Kind::mse; });
  teacher_ = std::make_unique<Teacher>(*teacher, config, classes, slots_, sample_dims());
  teacher_->plan(batcher_.batch_size(0));
  teacher_->plan(batcher_.batch_size(batcher_.batches() - 1));
}

Feeder::~Feeder() = default;

std::map<std::string, Dims> Feeder::sample_dims() const {
  std::map<std::string, Dims> result;
  for (size_t i = 0; i < slots_.size(); ++i) result[slots_[i].name] = batcher_.sample_dims(i);
  return result;
}

void Feeder::fill(Plan& plan, int64_t batch) {
  for (size_t i = 0; i < slots_.size(); ++i) batcher_.fill(batch, i, plan.input(slots_[i].name));
  std::span<const std::byte> taught;
  for (const LossInput& input : loss_inputs_) {
    const auto to = plan.input(input.name);
    if (input.from_teacher) {
      if (taught.empty()) taught = teacher_->teach(plan, slots_, batcher_.batch_size(batch));
      if (taught.size() != to.size()) throw Error(ErrorKind::bad_data, "the teacher has another number of scores than the model");
      std::memcpy(to.data(), taught.data(), to.size());
    } else if (input.kind == LossTerm::Kind::cross_entropy) {
      batcher_.fill_targets(batch, plan.input_as<int64_t>(input.name));
    } else {
      batcher_.fill_targets(batch, plan.input_as<float>(input.name));
    }
  }
}

}  // namespace espalier
