#include "passes/finetune/finetune.h"

#include <fmt/format.h>

#include <cmath>

#include "lib/train/trainer.h"
#include "passes/resources.h"

namespace espalier::passes {
namespace {

constexpr double kIncomingMargin = 2;  // standard errors

int64_t elements(const Graph& graph) {
  int64_t count = 0;
  for (const auto& [v, initializer] : graph.initializers()) {
    if (is_float(initializer.tensor.type())) count += initializer.tensor.size();
  }
  return count;
}

TrainConfig config_of(const PassOptions& options, const Resources& resources) {
  TrainConfig config;
  config.epochs = options.integer("epochs");
  config.batch_size = options.integer("batch-size");
  config.optimizer = options.text("optimizer");
  if (options.has("lr")) config.learning_rate = options.number("lr");
  config.schedule = options.text("schedule");
  config.l1 = options.number("l1");
  config.l2 = options.number("l2");
  if (options.has("weight-decay")) config.weight_decay = options.number("weight-decay");
  config.clip_norm = options.number("clip-norm");
  config.loss = parse_loss(options.text("loss"));
  config.teacher_weight = options.number("teacher-weight");
  config.temperature = options.number("temperature");
  config.output = options.text("output-name");
  config.freeze_batch_norm = options.flag("freeze-batch-norm");
  if (options.has("augment")) config.augmentation = parse_augmentation(options.text("augment"));
  config.validation_augmentation = resources.validation_augmentation;
  config.validation_fraction = options.number("validation");
  if (options.has("freeze")) config.groups.push_back({.pattern = options.text("freeze"), .frozen = true});
  config.preprocessing = resources.preprocessing;
  config.seed = resources.seed;
  return config;
}

/// Something was cut since the pipeline got the model.
bool pruned(const Resources& resources, const Graph& graph) {
  return resources.original && elements(resources.original->graph) > elements(graph);
}

/// Who teaches, or nullptr.
const Graph* teacher_of(const PassOptions& options, const Resources& resources, const Graph& graph) {
  const std::string choice = options.text("teacher");
  if (choice == "none") return nullptr;
  if (resources.teacher) return &resources.teacher->graph;
  if (!resources.original) return nullptr;
  const bool wanted = choice == "original" || pruned(resources, graph) || !resources.train->labelled();
  return wanted ? &resources.original->graph : nullptr;
}

std::string metrics_text(const Metrics& m) {
  std::string text = fmt::format("loss {:.4f}", m.loss);
  if (!std::isnan(m.top1)) text += fmt::format(", top1 {:.4f}", m.top1);
  else if (!std::isnan(m.agreement)) text += fmt::format(", agreement {:.4f}", m.agreement);
  return text;
}

TrainEvents events_of(const Resources& resources) {
  TrainEvents events = resources.events;
  events.stop = resources.stop;
  const auto listener = events.epoch;
  events.epoch = [&resources, listener](const EpochEvent& e) {
    if (listener) listener(e);
    if (!resources.log) return;
    const std::string mark = e.best ? " *" : "";
    if (e.epoch == 0) resources.log("as it came: validation " + metrics_text(e.validation) + mark);
    else resources.log(fmt::format("epoch {}/{}: loss {:.4f}, validation {}{}", e.epoch, e.epochs, e.train_loss, metrics_text(e.validation), mark));
  };
  return events;
}

void run(PassContext& context) {
  const Resources& resources = context.resources();
  if (!resources.train) throw Error(ErrorKind::usage, "finetune has no training data").hint("--train FILE names them");
  const PassOptions& options = context.options();
  const Graph* teacher = teacher_of(options, resources, context.graph());
  // The teacher may be the very model that is trained.
  const Graph frozen = teacher ? *teacher : Graph();
  const TrainData data{resources.train, resources.validation, teacher ? &frozen : nullptr};
  TrainConfig config = config_of(options, resources);
  // What was refitted to the original looks better on data that the original was trained on than it is.
  if (pruned(resources, context.graph())) config.incoming_margin = kIncomingMargin;
  const TrainResult result = train(context.graph(), data, config, events_of(resources));

  const Metrics& first = result.epochs.front().validation;
  context.count("steps", result.steps);
  context.count("trained", result.trained_parameters);
  context.figure("best_epoch", static_cast<double>(result.best_epoch));
  const auto figure = [&](const char* what, double value) {
    if (!std::isnan(value)) context.figure(what, value);
  };
  figure("loss_before", first.loss);
  figure("loss", result.best.loss);
  figure("top1_before", first.top1);
  figure("top1", result.best.top1);
  context.note(fmt::format("validation {} -> {} (epoch {}){}", metrics_text(first), metrics_text(result.best), result.best_epoch,
                           teacher ? ", taught by the " + std::string(resources.teacher ? "teacher" : "original") : ""));
  const double reached = std::isnan(result.best.top1) ? result.best.agreement : result.best.top1;
  if (options.has("floor") && !(reached >= options.number("floor"))) {
    throw Error(ErrorKind::verification, fmt::format("finetune reached {:.4f} on the validation data, below the floor of {}", reached,
                                                     options.text("floor")));
  }
  context.checked({Verification::State::passed, 0, "finite, and not worse than before on the validation data, but for noise"});
}

constexpr PassOption kOptions[] = {
    {"epochs", PassOption::Kind::integer, "5", "passes over the training data", "", 1},
    {"batch-size", PassOption::Kind::integer, "64", "samples a step", "", 1},
    {"optimizer", PassOption::Kind::text, "adamw", "sgd, momentum, nesterov, adam, adamw ..., with NAME{key=number}"},
    {"lr", PassOption::Kind::number, "", "learning rate; by default the optimizer's own", "", 0},
    {"schedule", PassOption::Kind::text, "cosine", "constant, step, exponential or cosine, with NAME{warmup=1 ...}"},
    {"loss", PassOption::Kind::text, "auto", "what is minimised", "auto|cross-entropy|mse|distillation"},
    {"teacher", PassOption::Kind::text, "auto", "who is imitated; auto: the original, where it was larger or labels are missing",
     "auto|original|none"},
    {"teacher-weight", PassOption::Kind::number, "0.5", "share of the teacher in the loss, where there are labels, too", "", 0, 1},
    {"temperature", PassOption::Kind::number, "2", "of the teacher's and the model's scores", "", 1e-3},
    {"l1", PassOption::Kind::number, "0", "l1 * sum |w| is added to the loss", "", 0},
    {"l2", PassOption::Kind::number, "0", "l2 / 2 * sum w^2 is added to the loss", "", 0},
    {"weight-decay", PassOption::Kind::number, "", "decoupled; by default the optimizer's own", "", 0},
    {"clip-norm", PassOption::Kind::number, "0", "largest norm of all gradients together; 0: any", "", 0},
    {"freeze", PassOption::Kind::text, "", "parameters whose name matches this pattern stay"},
    {"freeze-batch-norm", PassOption::Kind::flag, "false", "keep running statistics and use them"},
    {"augment", PassOption::Kind::text, "", "changes of training images: flip, crop:PIXELS"},
    {"validation", PassOption::Kind::number, "0.1", "share of the training data that chooses the best weights", "", 1e-6, 0.999999},
    {"output-name", PassOption::Kind::text, "", "the output that is trained; by default the first"},
    {"floor", PassOption::Kind::number, "", "least top1 on the validation data; below it the pass fails", "", 0, 1},
};
constexpr PassCounter kCounters[] = {
    {"steps", "updates of the weights"},
    {"trained", "weights that were trained"},
};

}  // namespace

extern const Pass finetune;
const Pass finetune = {.name = "finetune",
                       .summary = "train on data, with labels, a teacher or both; the best weights stay",
                       .contract = Contract::trained,
                       .options = kOptions,
                       .counters = kCounters,
                       .run = run};

}  // namespace espalier::passes
