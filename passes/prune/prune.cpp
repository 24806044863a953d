#include "passes/check_inputs.h"
#include "passes/prune/prune.h"

#include <algorithm>
#include <charconv>
#include <regex>

#include "lib/analysis/budget.h"
#include "lib/analysis/certificate.h"
#include "lib/base/file.h"
#include "passes/compare.h"
#include "passes/prune/plan.h"
#include "passes/prune/states.h"
#include "passes/prune/trial.h"
#include "passes/resources.h"
#include "passes/simplify/inline_if.h"

namespace espalier::passes {
namespace {

using Kind = PassOption::Kind;

/// The cut graph and the masked original may differ by rounding only.
constexpr double kCertificateTolerance = 1e-4;
constexpr size_t kReasonsNoted = 6;
constexpr int64_t kMaxPlanBytes = int64_t{1} << 28;

constexpr PassOption kOptions[] = {
    {.name = "flops", .kind = Kind::number, .fallback = "", .help = "share of the MACs that stays", .least = 0, .most = 1},
    {.name = "params", .kind = Kind::number, .fallback = "", .help = "share of the parameters that stays", .least = 0, .most = 1},
    {.name = "ratio", .kind = Kind::number, .fallback = "", .help = "share of the units of every group that goes", .least = 0, .most = 1},
    {.name = "criterion", .kind = Kind::text, .fallback = "auto", .help = "how the worth of a unit is estimated; auto: what is best on validation data, l2 without data", .choices = "auto|l1|l2|bn|taylor|random"},
    {.name = "scope", .kind = Kind::text, .fallback = "auto", .help = "units compete in the whole net, in their group, or half by what their group is worth; auto: as criterion, global without data", .choices = "auto|global|layer|mixed"},
    {.name = "align", .kind = Kind::text, .fallback = "auto", .help = "kept counts are multiples of this: a number, or auto: 16 or 8 for larger groups, 4 where validation data say that it saves much"},
    {.name = "keep", .kind = Kind::text, .fallback = "", .help = "regular expression of nodes whose units stay"},
    {.name = "state", .kind = Kind::text, .fallback = "", .help = "an input and the output that holds it for the next run, which may shrink together: IN:OUT, more behind commas"},
    {.name = "plan", .kind = Kind::text, .fallback = "", .help = "file of the units that stay, instead of a budget"},
    {.name = "plan-out", .kind = Kind::text, .fallback = "", .help = "file to write the plan to"},
    {.name = "reconstruct", .kind = Kind::flag, .fallback = "true", .help = "where data are given, weights that read what went are refitted by least squares"},
};

constexpr PassCounter kCounters[] = {
    {"inlined", "If nodes of known condition replaced by their branch"},
    {"units-removed", "units that went"},
    {"units-frozen", "units that could not go"},
    {"gathers-added", "reorderings that had to be written"},
    {"weights-reconstructed", "weights refitted by least squares"},
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
  budget.global = options.text("scope") != "layer" && budget.kind != BudgetOptions::Kind::ratio;
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
    if (!std::regex_search(birth_name(*table.graph, birth), expression)) continue;
    any = true;
    table.units.freeze(IndexArray::range(birth.first, birth.first + birth.count), "kept as asked");
  }
  if (!any) throw Error(ErrorKind::usage, "keep='" + pattern + "' names no node at which units are born");
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

/// Open sizes as they are guessed for checking, so that costs are those of real inputs; 1 where no guess fits.
std::map<std::string, Dims> sizes_of(const Graph& graph, const Resources& resources) {
  try {
    return choose_input_dims(graph, resources);
  } catch (const Error&) {
    return {};
  }
}

/// What stays by a plan file.
Trial planned(PassContext& c, const UnitTable& table) {
  Trial trial;
  trial.table = table;
  trial.chosen = cut_chosen(trial.table, apply_plan(table, parse_plan(read_file(c.options().text("plan"), kMaxPlanBytes))));
  trial.as_cut = trial.chosen.cut.graph;
  if (reconstructs(c)) trial.reconstructed = recover(c, trial.table, trial.chosen);
  return trial;
}

void note_reconstruction(PassContext& c, const Reconstructed& made) {
  c.count("weights-reconstructed", made.written);
  if (made.written > 0) {
    c.figure("reconstruction-error-before", made.error_before);
    c.figure("reconstruction-error", made.error_after);
    c.note("reconstructed " + std::to_string(made.written) + " of " + std::to_string(made.sinks) + " weights that read what went; they missed " +
           percent(made.error_before) + " of the original's variance, now " + percent(made.error_after));
  }
  for (const auto& [reason, count] : made.skipped) c.note("not reconstructed: " + std::to_string(count) + ", " + reason);
}

void run(PassContext& c) {
  Graph original = c.graph();
  c.count("inlined", inline_known_branches(original));
  UnitTable assigned = assign_units(original, sizes_of(original, c.resources()), states_of(original, c.options().text("state")));
  refuse_states_with_data(c, assigned);
  keep_named(assigned, c.options().text("keep"));
  note_frozen(c, assigned);
  const CostTotals before = cost_at(assigned, original);
  const bool by_plan = c.options().given("plan");
  Trial trial = by_plan ? planned(c, assigned) : best_trial(c, assigned, budget_of(c.options()));
  Chosen& chosen = trial.chosen;
  for (const std::string& note : chosen.notes) c.note(note);
  std::vector<bool> keep(static_cast<size_t>(assigned.units.size()));
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = chosen.keep[static_cast<size_t>(trial.table.units.find(static_cast<int32_t>(i)))];
  for (const UnitGroup& group : unit_groups(assigned)) {
    for (const int32_t unit : group.free) c.count("units-removed", keep[static_cast<size_t>(unit)] ? 0 : 1);
  }
  c.count("gathers-added", static_cast<int64_t>(chosen.cut.gathers.size()));
  std::swap(trial.as_cut, chosen.cut.graph);  // the certificate proves the surgery; the reconstruction changes weights only
  c.checked(certificate_of(trial.table, chosen, c.resources().seed));
  std::swap(trial.as_cut, chosen.cut.graph);
  note_reconstruction(c, trial.reconstructed);
  const CostTotals after = cost_at(trial.table, chosen.cut.graph);
  c.figure("macs-before", static_cast<double>(before.macs));
  c.figure("macs", static_cast<double>(after.macs));
  c.figure("params-before", static_cast<double>(before.params));
  c.figure("params", static_cast<double>(after.params));
  if (c.options().given("plan-out")) {
    const std::string made_by = "prune" + c.options().str() + trial.way;
    write_file(c.options().text("plan-out"), print_plan(make_plan(assigned, keep, trial.scores, made_by)));
  }
  note_states(c, assigned, chosen.cut.graph);
  c.graph() = std::move(chosen.cut.graph);
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
