#include "passes/prune/trial.h"

#include <limits>
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

struct Way {
  Criterion criterion;
  bool global;

  std::string str() const { return "{criterion=" + std::string(name(criterion)) + " scope=" + (global ? "global" : "layer") + "}"; }
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
  std::vector<bool> scopes = {budget.global};
  if (scope == "auto" && tried && budget.kind != BudgetOptions::Kind::ratio) scopes = {true, false};
  std::vector<Way> ways;
  for (const Criterion one : criteria) {
    for (const bool global : scopes) ways.push_back({one, global});
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

/// Loss on the samples that judge, against labels or the original's scores.
class Judge {
 public:
  Judge(const Graph& original, const Dataset& data, const Resources& resources) : data_(data), resources_(resources) {
    if (!data.labelled()) original_ = evaluator(original).scores();
  }
  double loss(const Graph& graph) { return evaluator(graph).run(original_.defined() ? &original_ : nullptr).loss; }

 private:
  Evaluator evaluator(const Graph& graph) {
    EvaluateOptions options;
    options.stop = resources_.stop;
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
  return reconstruct(table, chosen.keep, chosen.cut, train, resources.preprocessing, {resources.seed, resources.stop});
}

Trial attempt(const PassContext& c, const UnitTable& table, BudgetOptions budget, const Way& way, std::vector<double> scores,
              const Samples& samples) {
  Trial trial{table, {}, {}, std::move(scores), way.str(), {}, {}};
  budget.global = way.global;
  budget.scores = trial.scores;
  budget.seed = c.resources().seed;
  budget.stop = c.resources().stop;
  BudgetResult result = meet_budget(trial.table, budget);
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

/// Worth by the way's criterion; nothing, with a note, where auto can do without it.
std::optional<std::vector<double>> worth_of(PassContext& c, const UnitTable& table, Criterion criterion, const Samples& samples) {
  try {
    ImportanceOptions options{criterion, {}, c.resources().seed};
    if (criterion == Criterion::taylor) options.gradients = gradients_of(*table.given, c.resources(), samples.train);
    return unit_importance(table, options);
  } catch (const Error& error) {
    if (c.options().text("criterion") != "auto" || !dispensable(error)) throw;
    c.note(std::string(name(criterion)) + " was not tried: " + error.what());
    return std::nullopt;
  }
}

/// Loss of a trial; nothing, with a note, where the model cannot be judged on these data.
std::optional<double> loss_of(PassContext& c, const Graph& original, const Graph& graph, const Samples& samples) {
  try {
    return Judge(original, *samples.judged, c.resources()).loss(graph);
  } catch (const Error& error) {
    if (!dispensable(error)) throw;
    c.note(std::string("ways to choose were not compared: ") + error.what());
    return std::nullopt;
  }
}

}  // namespace

Trial best_trial(PassContext& context, const UnitTable& table, const BudgetOptions& budget) {
  const bool open = context.options().text("criterion") == "auto" || context.options().text("scope") == "auto";
  const Samples samples = samples_of(context.resources(), open);
  const std::vector<Way> ways = ways_of(context, budget, samples);
  std::optional<Trial> best;
  double least = std::numeric_limits<double>::infinity();
  std::string tried;
  std::map<Criterion, std::optional<std::vector<double>>> worth;
  for (const Way& way : ways) {
    if (!worth.contains(way.criterion)) worth[way.criterion] = worth_of(context, table, way.criterion, samples);
    if (!worth[way.criterion]) continue;
    Trial trial = attempt(context, table, budget, way, *worth[way.criterion], samples);
    const auto loss = ways.size() > 1 ? loss_of(context, *table.given, trial.chosen.cut.graph, samples) : std::nullopt;
    if (loss) {
      std::ostringstream text;
      text << (tried.empty() ? "" : ", ") << *loss << " by " << way.str();
      tried += text.str();
    }
    const bool nearer = best && trial.missed.empty() != best->missed.empty();
    const bool better = nearer ? trial.missed.empty() : loss && *loss < least;
    if (!best || better) {
      least = loss.value_or(least);
      best = std::move(trial);
    }
    if (!loss) break;
  }
  check(best.has_value(), "l2 needs no data");
  if (!best->missed.empty()) context.missed(best->missed, "the frozen units hold the rest; see the notes, or prune less");
  if (!tried.empty()) context.note("chosen by loss on validation data: " + best->way + " (" + tried + ")");
  return std::move(*best);
}

std::string percent(double share) {
  std::ostringstream text;
  text.precision(4);
  text << 100 * share << " %";
  return text.str();
}

}  // namespace espalier
