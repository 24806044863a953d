#include "lib/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <regex>

#include "lib/autodiff/to_training.h"
#include "lib/base/error.h"
#include "lib/train/evaluator.h"
#include "lib/train/optimizer.h"
#include "lib/train/schedule.h"
#include "lib/train/training_plan.h"

namespace espalier {
namespace {

using Clock = std::chrono::steady_clock;

std::map<std::string, Dims> dims_by_name(const std::vector<InputSlot>& slots, const Batcher& batcher) {
  std::map<std::string, Dims> result;
  for (size_t i = 0; i < slots.size(); ++i) result[slots[i].name] = batcher.sample_dims(i);
  return result;
}

/// A model whose scores the student learns from: fed with the student's inputs.
class Teacher {
 public:
  Teacher(const Graph& model, const TrainConfig& config, bool classes) {
    slots_ = input_slots(model);
    graph_ = at_any_batch(model, config.batch_size);
    const ValueId output = find_output(graph_, config.output);
    const ValueId scores = classes ? find_logits(graph_, output) : output;
    scores_ = graph_.value(scores).name;
    graph_.outputs = {scores};
  }

  void compile(const std::map<std::string, Dims>& sample_dims, const std::vector<InputSlot>& student) {
    std::map<std::string, Dims> dims;
    if (student.size() != slots_.size()) throw Error(ErrorKind::bad_data, "the teacher has another number of inputs than the model");
    for (size_t i = 0; i < slots_.size(); ++i) dims[slots_[i].name] = sample_dims.at(student[i].name);
    CompileOptions options;
    options.frozen = true;
    plans_.emplace(graph_, store_, std::move(dims), options);
  }

  Plan& plan(int64_t batch) { return plans_->plan(batch); }
  const Graph& graph() const { return graph_; }

  /// Scores for inputs that lie in the student's plan.
  std::span<const std::byte> teach(Plan& student, const std::vector<InputSlot>& slots, int64_t batch) {
    Plan& own = plan(batch);
    for (size_t i = 0; i < slots.size(); ++i) {
      const auto from = student.input(slots[i].name), to = own.input(slots_[i].name);
      if (from.size() != to.size()) throw Error(ErrorKind::bad_data, "the teacher's input '" + slots_[i].name + "' has another size than the model's");
      std::memcpy(to.data(), from.data(), from.size());
    }
    own.run();
    return own.output(scores_);
  }

 private:
  Graph graph_;
  std::vector<InputSlot> slots_;
  std::string scores_;
  ParameterStore store_;
  std::optional<BatchPlans> plans_;
};

ParameterTuning tuning_of(const ParameterBlock& block, const TrainConfig& config) {
  ParameterTuning tuning;
  if (!config.decay_vectors && block.dims->size() <= 1) tuning.decay_scale = 0;
  for (const ParameterGroup& group : config.groups) {
    if (!std::regex_search(*block.name, std::regex(group.pattern))) continue;
    tuning.learning_rate_scale *= group.learning_rate_scale;
    tuning.decay_scale *= group.decay_scale;
  }
  return tuning;
}

class Trainer {
 public:
  Trainer(Graph& model, const TrainData& data, const TrainConfig& config, const TrainEvents& events);
  TrainResult run();

 private:
  LossSources sources() const;
  void compile();
  void make_optimizer();
  void train_epoch(int64_t epoch, EpochEvent& event);
  double train_batch(int64_t batch, double learning_rate);
  void fill(Plan& plan, int64_t batch);
  void count_right(const Plan& plan, int64_t batch);
  void validate(EpochEvent& event);
  void keep();
  [[noreturn]] void diverged(const std::string& what) const;

  Graph& model_;
  TrainConfig config_;
  TrainEvents events_;
  Dataset train_, validation_;
  std::optional<Teacher> teacher_;
  TrainingSetup setup_;
  std::vector<InputSlot> slots_;
  std::optional<Batcher> batcher_;
  ParameterStore store_;
  std::optional<BatchPlans> plans_;
  std::optional<Evaluator> evaluator_;
  Tensor teacher_scores_;
  std::optional<Optimizer> optimizer_;
  Schedule schedule_;
  double base_rate_ = 0;
  MetricSum seen_;
  std::vector<int64_t> labels_;
  std::map<std::string, Tensor> best_;
  TrainResult result_;
};

Trainer::Trainer(Graph& model, const TrainData& data, const TrainConfig& config, const TrainEvents& events)
    : model_(model), config_(config), events_(events) {
  check(data.train != nullptr, "there are training data");
  config_.check();
  train_ = *data.train;
  if (data.validation) validation_ = *data.validation;
  else std::tie(train_, validation_) = split(*data.train, config_.validation_fraction, config_.seed);
  config_.batch_size = std::min(config_.batch_size, train_.size());
  slots_ = input_slots(model_);
  if (data.teacher) teacher_.emplace(*data.teacher, config_, !train_.labelled() || train_.has_classes());
  setup_ = prepare_training(model_, config_, sources());
  schedule_ = Schedule::parse(config_.schedule);
  compile();
  make_optimizer();
}

LossSources Trainer::sources() const {
  return {train_.labelled() && train_.has_classes(), train_.labelled() && !train_.has_classes(), teacher_.has_value()};
}

void Trainer::compile() {
  batcher_.emplace(train_, slots_, config_.preprocessing,
                   BatcherOptions{config_.batch_size, true, config_.seed, config_.augmentation});
  const auto sample_dims = dims_by_name(slots_, *batcher_);
  plans_.emplace(setup_.training, store_, sample_dims, setup_.options);
  const int64_t full = batcher_->batch_size(0), last = batcher_->batch_size(batcher_->batches() - 1);
  const Dims& scores = plans_->plan(full).output_dims(setup_.scores);
  if (train_.has_classes() && scores.size() >= 2) check_labels(train_, scores[1]);
  plans_->plan(last);
  EvaluateOptions options;
  options.batch_size = config_.evaluation_batch_size;
  options.output = config_.output;
  options.stop = events_.stop;
  evaluator_.emplace(setup_.inference, store_, validation_, config_.preprocessing, options);
  if (!teacher_) return;
  teacher_->compile(sample_dims, slots_);
  teacher_->plan(full);
  teacher_->plan(last);
  if (validation_.labelled()) return;
  ParameterStore teachers;
  teacher_scores_ = Evaluator(teacher_->graph(), teachers, validation_, config_.preprocessing, options, true).scores();
}

void Trainer::make_optimizer() {
  OptimizerSpec spec = parse_optimizer(config_.optimizer);
  base_rate_ = config_.learning_rate.value_or(spec.rule->default_learning_rate);
  const Regularization regularization{config_.l1, config_.l2, config_.weight_decay.value_or(spec.rule->default_weight_decay)};
  std::vector<ParameterBlock> blocks = store_.trained();
  std::vector<ParameterTuning> tuning;
  for (const ParameterBlock& block : blocks) {
    tuning.push_back(tuning_of(block, config_));
    result_.trained_parameters += element_count(*block.dims);
  }
  optimizer_.emplace(std::move(spec), regularization, std::move(blocks), std::move(tuning));
}

void Trainer::diverged(const std::string& what) const {
  throw Error(ErrorKind::non_finite, what + " became infinite or NaN at step " + std::to_string(result_.steps + 1) + " (epoch " +
                                         std::to_string(result_.epochs.size()) + ")")
      .hint("lower the learning rate (now " + std::to_string(base_rate_) + "), warm up, or limit the gradient norm");
}

void Trainer::fill(Plan& plan, int64_t batch) {
  for (size_t i = 0; i < slots_.size(); ++i) batcher_->fill(batch, i, plan.input(slots_[i].name));
  std::span<const std::byte> taught;
  for (const LossInput& input : setup_.inputs) {
    const auto to = plan.input(input.name);
    if (input.from_teacher) {
      if (taught.empty()) taught = teacher_->teach(plan, slots_, batcher_->batch_size(batch));
      if (taught.size() != to.size()) throw Error(ErrorKind::bad_data, "the teacher has another number of scores than the model");
      std::memcpy(to.data(), taught.data(), to.size());
    } else if (input.kind == LossTerm::Kind::cross_entropy) {
      batcher_->fill_targets(batch, plan.input_as<int64_t>(input.name));
    } else {
      batcher_->fill_targets(batch, plan.input_as<float>(input.name));
    }
  }
}

double Trainer::train_batch(int64_t batch, double learning_rate) {
  Plan& plan = plans_->plan(batcher_->batch_size(batch));
  fill(plan, batch);
  plan.run();
  const double loss = plan.output_as<float>(setup_.loss)[0];
  if (!std::isfinite(loss)) diverged("the loss");
  count_right(plan, batch);
  const double norm = optimizer_->step(learning_rate, config_.clip_norm);
  if (config_.clip_norm > 0 && !std::isfinite(norm)) diverged("the gradient");
  store_.refresh();
  ++result_.steps;
  return loss;
}

void Trainer::count_right(const Plan& plan, int64_t batch) {
  if (!train_.labelled() || !train_.has_classes()) return;
  const Dims& dims = plan.output_dims(setup_.scores);
  if (dims.size() < 2) return;
  labels_.resize(static_cast<size_t>(element_count(dims) / dims[1]));
  batcher_->fill_targets(batch, std::span(labels_));
  seen_.add_labels(plan.output_as<float>(setup_.scores), dims, labels_);
}

void Trainer::train_epoch(int64_t epoch, EpochEvent& event) {
  batcher_->start_epoch(epoch);
  seen_ = {};
  double sum = 0;
  int64_t samples = 0;
  for (int64_t b = 0; b < batcher_->batches(); ++b) {
    if (events_.stop && events_.stop()) {
      throw Error(ErrorKind::interrupted, "training was interrupted at step " + std::to_string(result_.steps) + " (epoch " +
                                              std::to_string(epoch) + ")");
    }
    event.learning_rate = base_rate_ * schedule_.factor(result_.steps, batcher_->batches(), config_.epochs);
    const int64_t size = batcher_->batch_size(b);
    sum += train_batch(b, event.learning_rate) * static_cast<double>(size);
    samples += size;
    if (events_.step) {
      events_.step({epoch, config_.epochs, samples, batcher_->samples(), sum / static_cast<double>(samples), event.learning_rate});
    }
  }
  event.train_loss = sum / static_cast<double>(samples);
  event.train_top1 = seen_.mean().top1;
}

void Trainer::validate(EpochEvent& event) {
  event.validation = evaluator_->run(teacher_scores_.defined() ? &teacher_scores_ : nullptr);
  const bool finite = std::isfinite(event.validation.loss);
  if (!finite && event.epoch > 0) diverged("the validation loss");
  event.best = finite && (result_.epochs.empty() || best_.empty() || event.validation.better_than(result_.best));
  if (!event.best) return;
  result_.best = event.validation;
  result_.best_epoch = event.epoch;
  keep();
}

/// Copies the present values of everything that training changes.
void Trainer::keep() {
  for (const auto* names : {&setup_.trained, &setup_.statistics}) {
    for (const std::string& name : *names) best_[name] = store_.get(name);
  }
}

TrainResult Trainer::run() {
  for (int64_t epoch = 0; epoch <= config_.epochs; ++epoch) {
    const auto start = Clock::now();
    EpochEvent event;
    event.epoch = epoch;
    event.epochs = config_.epochs;
    if (epoch > 0) train_epoch(epoch, event);
    validate(event);
    event.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    result_.epochs.push_back(event);
    if (events_.epoch) events_.epoch(event);
  }
  write_back(model_, setup_, best_);
  return std::move(result_);
}

}  // namespace

TrainResult train(Graph& model, const TrainData& data, const TrainConfig& config, const TrainEvents& events) {
  return Trainer(model, data, config, events).run();
}

}  // namespace espalier
