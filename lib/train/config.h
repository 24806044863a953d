#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/data/batcher.h"
#include "lib/train/metrics.h"

namespace espalier {

/// What is minimised. `automatic`: cross-entropy for class labels, mse for float targets, distillation without labels.
enum class LossKind { automatic, cross_entropy, mse, distillation };

/// "auto", "cross-entropy", "mse", "distillation". Throws Error(usage).
LossKind parse_loss(const std::string& text);

/// Parameters whose name a pattern matches (ECMAScript, anywhere in the name).
struct ParameterGroup {
  std::string pattern;
  bool frozen = false;               ///< not trained at all
  double learning_rate_scale = 1;    ///< times the learning rate
  double decay_scale = 1;            ///< times l1, l2 and weight decay
};

/// Everything that decides a training run, beside model and data. A value type.
struct TrainConfig {
  int64_t epochs = 5;                ///< passes over the training data, at least 1
  int64_t batch_size = 64;           ///< samples a step, at least 1; cut to the data's size

  std::string optimizer = "adamw";   ///< "NAME{key=number ...}", see optimizer_rule.h
  std::optional<double> learning_rate;  ///< above 0; absent: the optimizer's own default
  std::string schedule = "cosine";   ///< "NAME{key=number ...}", see schedule.h
  double l1 = 0;                     ///< coupled, at least 0
  double l2 = 0;                     ///< coupled, at least 0
  std::optional<double> weight_decay;   ///< decoupled, at least 0; absent: the optimizer's own (0.01 for adamw, else 0)
  bool decay_vectors = false;        ///< whether l1, l2 and weight decay touch biases and norms (rank 1 and less)
  double clip_norm = 0;              ///< largest norm of all gradients together; 0: no limit
  std::vector<ParameterGroup> groups;   ///< applied in order, factors multiply

  LossKind loss = LossKind::automatic;
  double teacher_weight = 0.5;       ///< share of distillation in the loss where there are labels and a teacher, [0, 1]
  double temperature = 2;            ///< of distillation, above 0
  std::string output;                ///< name of the output that is trained; empty: the first one

  bool freeze_batch_norm = false;    ///< running statistics stay and are used, instead of the batch's
  bool dropout = true;               ///< whether Dropout nodes of the model drop

  Preprocessing preprocessing;
  Augmentation augmentation;         ///< of training samples
  /// Of validation samples, which are seen in one view each, the same in every epoch. Where the weights came from training
  /// on the very validation data, shifted and mirrored images tell better than those known by heart.
  Augmentation validation_augmentation;
  double validation_fraction = 0.1;  ///< of the training data, where no validation data are given; in (0, 1)
  int64_t evaluation_batch_size = 256;  ///< at least 1
  /// Standard errors of top1 by which all epochs must be worse for the weights it came with to be kept; 0: they count as
  /// an epoch like others. Where the weights came from training on the very validation data, those flatter them.
  double incoming_margin = 0;

  uint64_t seed = 0;                 ///< of split, order, augmentation and dropout

  /// Throws Error(usage) for the first value that has no meaning, naming it and what is expected.
  void check() const;
};

/// After each step. Valid during the call.
struct StepEvent {
  int64_t epoch = 0, epochs = 0;     ///< from 1
  int64_t samples = 0, epoch_samples = 0;  ///< done in this epoch, of all
  double loss = 0;                   ///< mean over this epoch's samples so far
  double learning_rate = 0;
};

/// After each epoch; epoch 0 is the model as it came, only validated.
struct EpochEvent {
  int64_t epoch = 0, epochs = 0;
  double train_loss = Metrics::kNone;   ///< mean over the epoch, the weights changing meanwhile; without l1 and l2
  double train_top1 = Metrics::kNone;   ///< the same, where there are class labels
  Metrics validation;
  double learning_rate = 0;             ///< of the last step
  double seconds = 0;                   ///< of training and validation
  bool best = false;                    ///< so far
};

/// Who listens to a run. All may be empty.
struct TrainEvents {
  std::function<void(const StepEvent&)> step;
  std::function<void(const EpochEvent&)> epoch;
  std::function<bool()> stop;        ///< asked before each step; true ends the run with Error(interrupted)
};

/// What came out. The graph holds the weights of `best_epoch`.
struct TrainResult {
  std::vector<EpochEvent> epochs;    ///< epoch 0 included
  int64_t best_epoch = 0;
  Metrics best;                      ///< on the validation data
  int64_t steps = 0;
  int64_t trained_parameters = 0;    ///< elements
};

}  // namespace espalier
