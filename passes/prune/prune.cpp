#include "passes/check_inputs.h"
#include "passes/prune/prune.h"

#include <algorithm>
#include <charconv>
#include <regex>
#include <sstream>

#include "lib/analysis/budget.h"
#include "lib/analysis/certificate.h"
#include "lib/analysis/importance.h"
#include "lib/base/file.h"
#include "lib/train/gradients.h"
#include "passes/compare.h"
#include "passes/prune/plan.h"
#include "passes/resources.h"

namespace espalier::passes {
namespace {

using Kind = PassOption::Kind;

/// The cut graph and the masked original may differ by rounding only.
constexpr double kCertificateTolerance = 1e-4;
constexpr size_t kReasonsNoted = 6;
constexpr int64_t kGradientBatches = 16;
constexpr int64_t kMaxPlanBytes = int64_t{1} << 28;

constexpr PassOption kOptions[] = {
    {.name = "flops", .kind = Kind::number, .fallback = "", .help = "share of the MACs that stays", .least = 0, .most = 1},
    {.name = "params", .kind = Kind::number, .fallback = "", .help = "share of the parameters that stays", .least = 0, .most = 1},
    {.name = "ratio", .kind = Kind::number, .fallback = "", .help = "share of the units of every group that goes", .least = 0, .most = 1},
    {.name = "criterion", .kind = Kind::text, .fallback = "l2", .help = "how the worth of a unit is estimated", .choices = "l1|l2|bn|taylor|random"},
    {.name = "scope", .kind = Kind::text, .fallback = "global", .help = "units compete in the whole net or in their group", .choices = "global|layer"},
    {.name = "align", .kind = Kind::text, .fallback = "auto", .help = "kept counts are multiples of this: a number, or auto"},
    {.name = "keep", .kind = Kind::text, .fallback = "", .help = "regular expression of nodes whose units stay"},
    {.name = "plan", .kind = Kind::text, .fallback = "", .help = "file of the units that stay, instead of a budget"},
    {.name = "plan-out", .kind = Kind::text, .fallback = "", .help = "file to write the plan to"},
};

constexpr PassCounter kCounters[] = {
    {"units-removed", "units that went"},
    {"units-frozen", "units that could not go"},
    {"gathers-added", "reorderings that had to be written"},
};

int64_t aligned(const std::string& text) {
  int64_t step = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (fault != std::errc() || end != text.data() + text.size() || step < 1) {
    throw Error(ErrorKind::usage, "align is auto or a number from 1, not '" + text + "'");
  }
  return step;
}

BudgetOptions budget_of(const PassOptions& options) {
  BudgetOptions budget;
  int given = 0;
  if (options.given("flops")) ++given, budget.kind = BudgetOptions::Kind::macs, budget.share = options.number("flops");
  if (options.given("params")) ++given, budget.kind = BudgetOptions::Kind::params, budget.share = options.number("params");
  if (options.given("ratio")) ++given, budget.kind = BudgetOptions::Kind::ratio, budget.share = 1 - options.number("ratio");
  if (given != 1) throw Error(ErrorKind::usage, "prune needs one of flops, params, ratio or plan").hint("for example prune{flops=0.5}");
  if (budget.share <= 0) throw Error(ErrorKind::usage, "prune would leave nothing");
  budget.global = options.text("scope") == "global" && budget.kind != BudgetOptions::Kind::ratio;
  const std::string align = options.text("align");
  budget.align = align == "auto" ? 0 : aligned(align);
  if (budget.kind == BudgetOptions::Kind::ratio && !options.given("align")) budget.align = 1;
  return budget;
}

/// Freezes what is born at nodes whose name the pattern finds.
void keep_named(UnitTable& table, const std::string& pattern) {
  if (pattern.empty()) return;
  std::regex expression;
  try {
    expression = std::regex(pattern);
  } catch (const std::regex_error&) {
    throw Error(ErrorKind::usage, "keep is no regular expression: '" + pattern + "'");
  }
  bool any = false;
  for (const UnitBirth& birth : table.births) {
    if (!std::regex_search(node_name(*table.graph, birth.node), expression)) continue;
    any = true;
    table.units.freeze(IndexArray::range(birth.first, birth.first + birth.count), "kept as asked");
  }
  if (!any) throw Error(ErrorKind::usage, "keep='" + pattern + "' names no node at which units are born");
}

/// dL/dw over some batches of the training data, the loss being that of its labels.
std::map<std::string, Tensor> gradients_of(const Graph& graph, const Resources& resources) {
  if (!resources.train || !resources.train->labelled()) {
    throw Error(ErrorKind::usage, "criterion=taylor needs data with labels").hint("give --train FILE, or use criterion=l2");
  }
  TrainConfig config;
  config.preprocessing = resources.preprocessing;
  config.seed = resources.seed;
  return gradient_sizes(graph, {resources.train, nullptr, nullptr}, config, kGradientBatches);
}

std::vector<double> scores_of(const UnitTable& table, const PassContext& c) {
  ImportanceOptions options;
  options.criterion = parse_criterion(c.options().text("criterion"));
  options.seed = c.resources().seed;
  if (options.criterion == Criterion::taylor) {
    options.gradients = gradients_of(*table.graph, c.resources());
  }
  return unit_importance(table, options);
}

void note_frozen(PassContext& c, const UnitTable& table) {
  const std::vector<UnitGroup> groups = unit_groups(table);
  std::vector<std::pair<int64_t, std::string>> reasons;
  for (const auto& [reason, count] : frozen_reasons(table, groups)) {
    reasons.emplace_back(-count, reason);
    c.count("units-frozen", count);
  }
  std::sort(reasons.begin(), reasons.end());
  for (size_t i = 0; i < std::min(reasons.size(), kReasonsNoted); ++i) {
    c.note("frozen: " + std::to_string(-reasons[i].first) + " units, " + reasons[i].second);
  }
}

std::string percent(double share) {
  std::ostringstream text;
  text.precision(4);
  text << 100 * share << " %";
  return text.str();
}

Verification certificate_of(const UnitTable& table, const Chosen& chosen, uint64_t seed) {
  Verification result;
  try {
    const Certificate found = certify(table, chosen.keep, chosen.cut, random_feeds(table, seed), run_graph);
    result.worst = found.error;
    result.state = Verification::State::passed;
    result.detail = "certificate: " + std::to_string(found.values) + " outputs against the masked original, which moved by " +
                    percent(found.moved);
    if (found.vacuous) result.state = Verification::State::unverified, result.detail = "certificate is vacuous: no output moved";
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::bad_data) throw;
    result.state = Verification::State::unverified;
    result.detail = std::string("certificate cannot be run: ") + e.what();
  }
  if (result.state == Verification::State::passed && !(result.worst <= kCertificateTolerance)) {
    throw Error(ErrorKind::verification, "the pruned model differs from the masked original by " + std::to_string(result.worst) +
                                             " of the output's scale, expected at most 0.0001");
  }
  return result;
}

/// Chosen by budget, or taken from a plan file.
Chosen choose(PassContext& c, UnitTable& table, const std::vector<double>& scores, CostTotals& before) {
  before = cost_at(table, *table.graph);
  if (c.options().given("plan")) return cut_chosen(table, apply_plan(table, parse_plan(read_file(c.options().text("plan"), kMaxPlanBytes))));
  BudgetOptions budget = budget_of(c.options());
  budget.scores = scores;
  budget.seed = c.resources().seed;
  budget.stop = c.resources().stop;
  BudgetResult result = meet_budget(table, budget);
  if (!result.met) {
    c.missed("at most " + percent(1 - result.reached) + " can go, " + percent(1 - budget.share) + " were asked for",
             "the frozen units hold the rest; see the notes, or prune less");
  }
  return std::move(result.chosen);
}

/// Open sizes as they are guessed for checking, so that costs are those of real inputs; 1 where no guess fits.
std::map<std::string, Dims> sizes_of(const Graph& graph, const Resources& resources) {
  try {
    return choose_input_dims(graph, resources);
  } catch (const Error&) {
    return {};
  }
}

void run(PassContext& c) {
  const Graph original = c.graph();
  UnitTable table = assign_units(original, sizes_of(original, c.resources()));
  keep_named(table, c.options().text("keep"));
  note_frozen(c, table);
  const UnitTable assigned = table;
  const bool planned = c.options().given("plan");
  const std::vector<double> scores = planned ? std::vector<double>{} : scores_of(table, c);
  CostTotals before;
  Chosen chosen = choose(c, table, scores, before);
  for (const std::string& note : chosen.notes) c.note(note);
  std::vector<bool> keep(static_cast<size_t>(assigned.units.size()));
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = chosen.keep[static_cast<size_t>(table.units.find(static_cast<int32_t>(i)))];
  for (const UnitGroup& group : unit_groups(assigned)) {
    for (const int32_t unit : group.free) c.count("units-removed", keep[static_cast<size_t>(unit)] ? 0 : 1);
  }
  c.count("gathers-added", static_cast<int64_t>(chosen.cut.gathers.size()));
  c.checked(certificate_of(table, chosen, c.resources().seed));
  const CostTotals after = cost_at(table, chosen.cut.graph);
  c.figure("macs-before", static_cast<double>(before.macs));
  c.figure("macs", static_cast<double>(after.macs));
  c.figure("params-before", static_cast<double>(before.params));
  c.figure("params", static_cast<double>(after.params));
  if (c.options().given("plan-out")) {
    write_file(c.options().text("plan-out"), print_plan(make_plan(assigned, keep, scores, "prune" + c.options().str())));
  }
  c.graph() = std::move(chosen.cut.graph);
  if (c.model().ir_version < 4) c.model().ir_version = 4;  // from IR 4 on an initialiser need not be an input
}

}  // namespace

extern const Pass prune;
const Pass prune = {
    .name = "prune",
    .summary = "removes whole units (channels) to meet a budget, and proves the surgery",
    .contract = Contract::masked,
    .options = kOptions,
    .counters = kCounters,
    .run = run,
};

}  // namespace espalier::passes
