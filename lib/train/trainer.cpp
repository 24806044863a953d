#include "lib/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <regex>

#include "lib/base/error.h"
#include "lib/train/evaluator.h"
#include "lib/train/feeder.h"
#include "lib/train/optimizer.h"
#include "lib/train/schedule.h"

namespace espalier {
namespace {

using Clock = std::chrono::steady_clock;

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
  void compile();
  void make_optimizer();
  void train_epoch(int64_t epoch, EpochEvent& event);
  double train_batch(int64_t batch, double learning_rate);
  void count_right(const Plan& plan, int64_t batch);
  void validate(EpochEvent& event);
  bool best_so_far(const EpochEvent& event) const;
  void keep();
  [[noreturn]] void diverged(const std::string& what) const;

  Graph& model_;
  TrainConfig config_;
  TrainEvents events_;
  Dataset train_, validation_;
  const Graph* teacher_;
  TrainingSetup setup_;
  std::optional<Feeder> feeder_;
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
    : model_(model), config_(config), events_(events), teacher_(data.teacher) {
  check(data.train != nullptr, "there are training data");
  config_.check();
  train_ = *data.train;
  if (data.validation) validation_ = *data.validation;
  else std::tie(train_, validation_) = split(*data.train, config_.validation_fraction, config_.seed);
  config_.batch_size = std::min(config_.batch_size, train_.size());
  input_slots(model_);  // says what is wrong with the inputs before anything else does
  setup_ = prepare_training(model_, config_, loss_sources(train_, teacher_ != nullptr));
  if (const int64_t only = only_batch(model_); only > 0) config_.evaluation_batch_size = only;
  schedule_ = Schedule::parse(config_.schedule);
  compile();
  make_optimizer();
}

void Trainer::compile() {
  feeder_.emplace(model_, teacher_, setup_, train_, config_, true);
  plans_.emplace(setup_.training, store_, feeder_->sample_dims(), setup_.options);
  const Batcher& batcher = feeder_->batcher();
  const Dims& scores = plans_->plan(batcher.batch_size(0)).output_dims(setup_.scores);
  if (train_.labelled() && train_.has_classes() && scores.size() >= 2) check_labels(train_, scores[1]);
  plans_->plan(batcher.batch_size(batcher.batches() - 1));
  EvaluateOptions options;
  options.batch_size = config_.evaluation_batch_size;
  options.output = config_.output;
  options.stop = events_.stop;
  options.augmentation = config_.validation_augmentation;
  options.seed = config_.seed;
  evaluator_.emplace(setup_.inference, store_, validation_, config_.preprocessing, options);
  if (!teacher_ || validation_.labelled()) return;
  ParameterStore teachers;
  const Graph open = at_any_batch(*teacher_, config_.evaluation_batch_size);
  teacher_scores_ = Evaluator(open, teachers, validation_, config_.preprocessing, options, true).scores();
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

double Trainer::train_batch(int64_t batch, double learning_rate) {
  Plan& plan = plans_->plan(feeder_->batcher().batch_size(batch));
  feeder_->fill(plan, batch);
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
  feeder_->batcher().fill_targets(batch, std::span(labels_));
  seen_.add_labels(plan.output_as<float>(setup_.scores), dims, labels_);
}

void Trainer::train_epoch(int64_t epoch, EpochEvent& event) {
  const Batcher& batcher = feeder_->batcher();
  feeder_->start_epoch(epoch);
  seen_ = {};
  double sum = 0;
  int64_t samples = 0;
  for (int64_t b = 0; b < batcher.batches(); ++b) {
    if (events_.stop && events_.stop()) {
      throw Error(ErrorKind::interrupted, "training was interrupted at step " + std::to_string(result_.steps) + " (epoch " +
                                              std::to_string(epoch) + ")");
    }
    event.learning_rate = base_rate_ * schedule_.factor(result_.steps, batcher.batches(), config_.epochs);
    const int64_t size = batcher.batch_size(b);
    sum += train_batch(b, event.learning_rate) * static_cast<double>(size);
    samples += size;
    if (events_.step) {
      events_.step({epoch, config_.epochs, samples, batcher.samples(), sum / static_cast<double>(samples), event.learning_rate});
    }
  }
  event.train_loss = sum / static_cast<double>(samples);
  event.train_top1 = seen_.mean().top1;
}

void Trainer::validate(EpochEvent& event) {
  event.validation = evaluator_->run(teacher_scores_.defined() ? &teacher_scores_ : nullptr);
  const bool finite = std::isfinite(event.validation.loss);
  if (!finite && event.epoch > 0) diverged("the validation loss");
  event.best = finite && (result_.epochs.empty() || best_.empty() || best_so_far(event));
  if (!event.best) return;
  result_.best = event.validation;
  result_.best_epoch = event.epoch;
  keep();
}

bool Trainer::best_so_far(const EpochEvent& event) const {
  const double incoming = result_.best.top1;
  if (result_.best_epoch > 0 || !(config_.incoming_margin > 0) || std::isnan(incoming)) return event.validation.better_than(result_.best);
  const double error = std::sqrt(incoming * (1 - incoming) / static_cast<double>(std::max<int64_t>(1, event.validation.samples)));
  return event.validation.top1 >= incoming - config_.incoming_margin * error;
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
