#include "passes/prune/trial.h"

#include <cmath>
#include <optional>
#include <sstream>

#include "lib/analysis/importance.h"
#include "lib/train/evaluator.h"
#include "lib/train/gradients.h"

namespace espalier {
namespace {

constexpr int64_t kGradientBatches = 32;
constexpr int64_t kJudged = 2048;
constexpr double kSetAside = 0.1;
/// Channels that runtimes still take together.
constexpr int64_t kFineStep = 4;
/// Steps of 16 and 8 run faster: finer ones are for cuts that cost more than a point of top1, if they save half of the added
/// loss, or save some of it and the coarse ones left more than kUnused of the budget unused.
constexpr double kTolerable = 0.01;
constexpr double kFineGain = 0.5;
constexpr double kUnused = 0.02;
constexpr double kHalfWay = 0.5;

/// Who competes: all units, by their worth beside their like; those of each group; all, by a worth half way to that to the net.
enum class Scope { global, layer, mixed };

struct Way {
  Criterion criterion;
  Scope scope;
  int64_t align = 0;

  std::string str() const {
    const std::string_view among = scope == Scope::layer ? "layer" : scope == Scope::mixed ? "mixed" : "global";
    return "{criterion=" + std::string(name(criterion)) + " scope=" + std::string(among) +
           (align > 0 ? " align=" + std::to_string(align) : "") + "}";
  }
  double normalisation() const { return scope == Scope::mixed ? kHalfWay : 1; }
};

/// The data as trials see them: what is learned from, and what is judged on.
struct Samples {
  std::optional<Dataset> train, judged;
};

Samples samples_of(const Resources& resources, bool judge) {
  Samples result;
  if (!resources.train) return result;
  result.train = *resources.train;
  if (!judge) return result;
  if (resources.validation) result.judged = *resources.validation;
  else if (result.train->size() >= 20) std::tie(result.train, result.judged) = split(*resources.train, kSetAside, resources.seed);
  if (result.judged) result.judged = head(*result.judged, kJudged);
  return result;
}

std::vector<Way> ways_of(const PassContext& c, const BudgetOptions& budget, const Samples& samples) {
  const std::string criterion = c.options().text("criterion"), scope = c.options().text("scope");
  const bool tried = samples.judged.has_value();
  std::vector<Criterion> criteria;
  if (criterion != "auto") criteria = {parse_criterion(criterion)};
  else if (tried && samples.train->labelled()) criteria = {Criterion::taylor, Criterion::l2};
  else criteria = {Criterion::l2};
  std::vector<Scope> scopes = {!budget.global ? Scope::layer : scope == "mixed" ? Scope::mixed : Scope::global};
  if (scope == "auto" && tried && budget.kind != BudgetOptions::Kind::ratio) scopes = {Scope::global, Scope::layer};
  std::vector<Way> ways;
  for (const Criterion one : criteria) {
    for (const Scope among : scopes) ways.push_back({one, among, budget.align});
  }
  return ways;
}

/// dL/dw over some batches of the training data, the loss being that of its labels.
std::map<std::string, Tensor> gradients_of(const Graph& graph, const Resources& resources, const std::optional<Dataset>& train) {
  if (!train || !train->labelled()) {
    throw Error(ErrorKind::usage, "criterion=taylor needs data with labels").hint("give --train FILE, or use criterion=l2");
  }
  TrainConfig config;
  config.preprocessing = resources.preprocessing;
  config.seed = resources.seed;
  return gradient_sizes(graph, {&*train, nullptr, nullptr}, config, kGradientBatches);
}

/// Metrics on the samples that judge, against labels or the original's scores.
class Judge {
 public:
  Judge(const Graph& original, const Dataset& data, const Resources& resources) : data_(data), resources_(resources) {
    if (!data.labelled()) original_ = evaluator(original).scores();
  }
  Metrics run(const Graph& graph) { return evaluator(graph).run(original_.defined() ? &original_ : nullptr); }

 private:
  Evaluator evaluator(const Graph& graph) {
    EvaluateOptions options;
    options.stop = resources_.stop;
    options.augmentation = resources_.validation_augmentation;
    options.seed = resources_.seed;
    store_.emplace();
    return {at_any_batch(graph, std::min(options.batch_size, data_.size())), *store_, data_, resources_.preprocessing, options, true};
  }

  const Dataset& data_;
  const Resources& resources_;
  std::optional<ParameterStore> store_;
  Tensor original_;
};

Reconstructed recover(const PassContext& c, const UnitTable& table, Chosen& chosen, const Dataset& train) {
  const Resources& resources = c.resources();
  const ReconstructOptions options{resources.seed, resources.validation_augmentation, resources.stop};
  return reconstruct(table, chosen.keep, chosen.cut, train, resources.preprocessing, options);
}

Trial attempt(const PassContext& c, const UnitTable& table, BudgetOptions budget, const Way& way, std::vector<double> scores,
              const Samples& samples) {
  Trial trial;
  trial.table = table;
  trial.scores = std::move(scores);
  trial.way = way.str();
  budget.global = way.scope != Scope::layer;
  budget.align = way.align;
  budget.scores = trial.scores;
  budget.seed = c.resources().seed;
  budget.stop = c.resources().stop;
  BudgetResult result = meet_budget(trial.table, budget);
  trial.reached = result.reached;
  if (!result.met) trial.missed = "at most " + percent(1 - result.reached) + " can go, " + percent(1 - budget.share) + " were asked for";
  trial.chosen = std::move(result.chosen);
  trial.as_cut = trial.chosen.cut.graph;
  if (reconstructs(c)) trial.reconstructed = recover(c, trial.table, trial.chosen, *samples.train);
  return trial;
}

}  // namespace

bool reconstructs(const PassContext& context) { return context.resources().train && context.options().flag("reconstruct"); }

Reconstructed recover(const PassContext& context, const UnitTable& table, Chosen& chosen) {
  return recover(context, table, chosen, *context.resources().train);
}

namespace {

/// Whether auto may do without what failed so: the data do not fit the first output, say.
bool dispensable(const Error& error) {
  return error.kind() == ErrorKind::bad_data || error.kind() == ErrorKind::usage || error.kind() == ErrorKind::non_finite;
}

/// Worth by the way's criterion; nothing, with a note, where auto can do without it. `gradients`: empty, or made before.
std::optional<std::vector<double>> worth_of(PassContext& c, const UnitTable& table, const Way& way, const Samples& samples,
                                            std::map<std::string, Tensor>& gradients) {
  const Criterion criterion = way.criterion;
  try {
    if (criterion == Criterion::taylor && gradients.empty()) gradients = gradients_of(*table.given, c.resources(), samples.train);
    return unit_importance(table, {criterion, gradients, c.resources().seed, way.normalisation()});
  } catch (const Error& error) {
    if (c.options().text("criterion") != "auto" || !dispensable(error)) throw;
    c.note(std::string(name(criterion)) + " was not tried: " + error.what());
    return std::nullopt;
  }
}

/// Metrics of a trial; nothing, with a note, where the model cannot be judged on these data.
std::optional<Metrics> judge(PassContext& c, const Graph& original, const Graph& graph, const Samples& samples) {
  try {
    return Judge(original, *samples.judged, c.resources()).run(graph);
  } catch (const Error& error) {
    if (!dispensable(error)) throw;
    c.note(std::string("ways to choose were not compared: ") + error.what());
    return std::nullopt;
  }
}

/// Tries ways one by one; the one with the least loss stays.
class Contest {
 public:
  Contest(PassContext& context, const UnitTable& table, const BudgetOptions& budget, const Samples& samples)
      : context_(context), table_(table), budget_(budget), samples_(samples) {}

  /// Tries one, and judges it where `judged`. False where it could not be judged: others are not comparable.
  bool enter(const Way& way, bool judged) {
    if (!worth(way)) return true;
    Entry entry = make(way, judged);
    const bool met = entry.trial.missed.empty(), nearer = best_ && met != best_->trial.missed.empty();
    const bool better = nearer ? met : entry.metrics && (!best_ || !best_->metrics || entry.metrics->loss < best_->metrics->loss);
    const bool comparable = entry.metrics.has_value();
    if (!best_ || better) best_ = std::move(entry);
    return comparable;
  }

  /// Tries the ways of the best one's criterion again in finer steps, where the coarse ones met the budget and cost much.
  void refine(std::vector<Way> ways) {
    if (!best_ || !best_->metrics || !best_->trial.missed.empty()) return;
    const auto original = judge(context_, *table_.given, *table_.given, samples_);
    if (!original || !costly(*best_->metrics, *original)) return;
    const Criterion criterion = best_->way.criterion;
    if (context_.options().text("scope") == "auto") ways.push_back({criterion, Scope::mixed});
    const double gain = best_->trial.reached < (1 - kUnused) * budget_.share ? 1 : kFineGain;
    double least = original->loss + gain * (best_->metrics->loss - original->loss);
    for (Way way : ways) {
      if (way.criterion != criterion || !worth(way)) continue;
      way.align = kFineStep;
      Entry entry = make(way, true);
      if (!entry.metrics || !entry.trial.missed.empty() || !(entry.metrics->loss < least)) continue;
      least = entry.metrics->loss;
      best_ = std::move(entry);
    }
  }

  Trial result() && {
    check(best_.has_value(), "l2 needs no data");
    Trial& trial = best_->trial;
    if (!trial.missed.empty()) context_.missed(trial.missed, "the frozen units hold the rest; see the notes, or prune less");
    if (!tried_.empty()) context_.note("chosen by loss on validation data: " + trial.way + " (" + tried_ + ")");
    return std::move(trial);
  }

 private:
  struct Entry {
    Way way;
    Trial trial;
    std::optional<Metrics> metrics;
  };

  const std::optional<std::vector<double>>& worth(const Way& way) {
    const auto [at, fresh] = worth_.try_emplace({way.criterion, way.normalisation()});
    if (fresh) at->second = worth_of(context_, table_, way, samples_, gradients_);
    return at->second;
  }

  Entry make(const Way& way, bool judged) {
    Entry entry{way, attempt(context_, table_, budget_, way, *worth(way), samples_), {}};
    if (judged) entry.metrics = judge(context_, *table_.given, entry.trial.chosen.cut.graph, samples_);
    if (!entry.metrics) return entry;
    std::ostringstream text;
    text << (tried_.empty() ? "" : ", ") << entry.metrics->loss << " by " << way.str();
    tried_ += text.str();
    return entry;
  }

  /// Scores are judged by what is first in them, other outputs by their loss alone.
  static bool costly(const Metrics& cut, const Metrics& original) {
    if (!std::isnan(cut.top1)) return original.top1 - cut.top1 > kTolerable;
    if (!std::isnan(cut.agreement)) return 1 - cut.agreement > kTolerable;
    return cut.loss > original.loss;
  }

  PassContext& context_;
  const UnitTable& table_;
  const BudgetOptions& budget_;
  const Samples& samples_;
  std::map<std::pair<Criterion, double>, std::optional<std::vector<double>>> worth_;
  std::map<std::string, Tensor> gradients_;
  std::optional<Entry> best_;
  std::string tried_;
};

}  // namespace

Trial best_trial(PassContext& context, const UnitTable& table, const BudgetOptions& budget) {
  const PassOptions& options = context.options();
  const bool any_step = options.text("align") == "auto" && budget.kind != BudgetOptions::Kind::ratio;
  const bool open = options.text("criterion") == "auto" || options.text("scope") == "auto" || any_step;
  const Samples samples = samples_of(context.resources(), open);
  const std::vector<Way> ways = ways_of(context, budget, samples);
  Contest contest(context, table, budget, samples);
  const bool judged = samples.judged && (ways.size() > 1 || any_step);
  for (const Way& way : ways) {
    if (!contest.enter(way, judged)) break;
  }
  if (judged && any_step) contest.refine(ways);
  return std::move(contest).result();
}

std::string percent(double share) {
  std::ostringstream text;
  text.precision(4);
  text << 100 * share << " %";
  return text.str();
}

}  // namespace espalier
