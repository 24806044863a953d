#include "lib/analysis/budget.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace espalier {
namespace {

constexpr int kBisections = 12;
constexpr int kGivenBack = 200;

/// Units kept by group; a group is known by its smallest member.
using Counts = std::map<int32_t, int64_t>;

class Solver {
 public:
  Solver(UnitTable& table, const BudgetOptions& options) : table_(table), options_(options) {
    result_.before = cost_at(table, *table.given);
  }

  BudgetResult run() {
    if (options_.kind == BudgetOptions::Kind::ratio) {
      ratio();
    } else {
      budget();
    }
    result_.reached = share_of(result_.after);
    return std::move(result_);
  }

 private:
  using Kind = BudgetOptions::Kind;

  void ratio() {
    Trial trial = attempt([&](const std::vector<UnitGroup>& groups) { return by_share(groups, options_.share); });
    accept(std::move(trial));
    result_.met = true;
  }

  void budget() {
    if (options_.share >= 1) return ratio_of_all();
    double low = 0, high = 1;  // share of units that goes: at low too little, at high enough
    Trial best = level(1);
    const bool possible = best.share <= options_.share;
    for (int i = 0; possible && i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      Trial trial = level(middle);
      if (trial.share <= options_.share) {
        high = middle;
        if (trial.share >= best.share) best = std::move(trial);
      } else {
        low = middle;
      }
    }
    if (possible) give_back(best, counts_at(low)), give_back(best, counts_at(0));
    result_.met = possible;
    accept(std::move(best));
  }

  void ratio_of_all() {
    accept(attempt([](const std::vector<UnitGroup>& groups) {
      std::vector<int64_t> counts;
      for (const UnitGroup& g : groups) counts.push_back(static_cast<int64_t>(g.free.size()));
      return counts;
    }));
    result_.met = true;
  }

  struct Trial {
    Chosen chosen;
    CostTotals cost;
    double share = 1;
    Counts counts;  ///< what was asked for
  };

  Trial attempt(const KeepCounts& counts) {
    if (options_.stop && options_.stop()) throw Error(ErrorKind::interrupted, "stopped while units were chosen");
    ++result_.trials;
    Counts asked;
    const KeepCounts noted = [&](const std::vector<UnitGroup>& groups) {
      std::vector<int64_t> result = counts(groups);
      asked.clear();
      for (size_t g = 0; g < groups.size(); ++g) asked[groups[g].members.front()] = result[g];
      return result;
    };
    Chosen chosen = choose_units(table_, {noted, options_.scores, options_.seed});
    CostTotals cost = cost_at(table_, chosen.cut.graph);
    const double share = share_of(cost);
    return {std::move(chosen), std::move(cost), share, std::move(asked)};
  }

  double share_of(const CostTotals& cost) const {
    const bool params = options_.kind == Kind::params;
    const auto left = static_cast<double>(params ? cost.params : cost.macs);
    const auto whole = static_cast<double>(params ? result_.before.params : result_.before.macs);
    return whole > 0 ? left / whole : 1;
  }

  Trial level(double gone) {
    return attempt([&](const std::vector<UnitGroup>& groups) { return counts_of(groups, gone); });
  }

  Counts counts_at(double gone) {
    const std::vector<UnitGroup> groups = unit_groups(table_);
    const std::vector<int64_t> counts = counts_of(groups, gone);
    Counts result;
    for (size_t g = 0; g < groups.size(); ++g) result[groups[g].members.front()] = counts[g];
    return result;
  }

  std::vector<int64_t> counts_of(const std::vector<UnitGroup>& groups, double gone) const {
    return options_.global ? by_score(groups, gone) : by_share(groups, 1 - gone);
  }

  /// Kept count of a group, a multiple of its step where its size allows.
  int64_t rounded(const UnitGroup& group, double kept) const {
    const auto free = static_cast<int64_t>(group.free.size());
    const int64_t step = aligned_step(static_cast<int64_t>(group.members.size()), options_.align);
    const int64_t frozen = static_cast<int64_t>(group.members.size()) - free;
    if (kept >= static_cast<double>(free)) return free;
    const int64_t whole = (static_cast<int64_t>(std::floor(kept + 1e-9)) + frozen) / step * step - frozen;
    const int64_t least = step - frozen % step;
    return std::min(free, std::max(whole, least));
  }

  std::vector<int64_t> by_share(const std::vector<UnitGroup>& groups, double share) const {
    std::vector<int64_t> counts;
    for (const UnitGroup& g : groups) {
      const double kept = share * static_cast<double>(g.free.size());
      counts.push_back(rounded(g, std::max(1.0, options_.kind == Kind::ratio ? std::round(kept) : kept)));
    }
    return counts;
  }

  /// All groups' units in one order: the share `gone` of least worth goes.
  std::vector<int64_t> by_score(const std::vector<UnitGroup>& groups, double gone) const {
    const std::vector<double> worth = scores_by_root();
    std::vector<double> all;
    for (const UnitGroup& g : groups) {
      for (const int32_t unit : g.free) all.push_back(worth[static_cast<size_t>(unit)]);
    }
    std::sort(all.begin(), all.end());
    const auto cut = static_cast<size_t>(std::floor(gone * static_cast<double>(all.size())));
    std::vector<int64_t> counts;
    for (const UnitGroup& g : groups) {
      const auto stays = [&](int32_t unit) { return cut < all.size() && worth[static_cast<size_t>(unit)] >= all[cut]; };
      const auto kept = static_cast<double>(std::count_if(g.free.begin(), g.free.end(), stays));
      counts.push_back(rounded(g, std::max(kept, std::ceil(options_.least_share * static_cast<double>(g.free.size())))));
    }
    return counts;
  }

  std::vector<double> scores_by_root() const {
    std::vector<double> result(options_.scores.size(), 0.0);
    for (size_t i = 0; i < result.size(); ++i) {
      result[static_cast<size_t>(table_.units.find(static_cast<int32_t>(i)))] += options_.scores[i];
    }
    return result;
  }

  /// Single steps back towards `wider`, group by group in turns, the biggest first, as long as the budget holds. What did
  /// not fit once never will: the others only grow.
  void give_back(Trial& best, const Counts& wider) {
    std::vector<std::pair<int64_t, int32_t>> order;
    for (const UnitGroup& g : unit_groups(table_)) {
      if (!g.free.empty()) order.emplace_back(-static_cast<int64_t>(g.members.size()), g.members.front());
    }
    std::sort(order.begin(), order.end());
    for (int budget = kGivenBack; !order.empty() && budget > 0;) {
      std::erase_if(order, [&](const auto& entry) {
        const auto& [size, group] = entry;
        const auto limit = wider.find(group);
        if (limit == wider.end() || best.counts[group] >= limit->second || budget-- <= 0) return true;
        Counts next = best.counts;
        next[group] = std::min(limit->second, next[group] + aligned_step(-size, options_.align));
        Trial trial = attempt([&](const std::vector<UnitGroup>& groups) { return lookup(groups, next); });
        if (trial.share > options_.share || trial.share < best.share) return true;
        best = std::move(trial);
        return false;
      });
    }
  }

  static std::vector<int64_t> lookup(const std::vector<UnitGroup>& groups, const Counts& counts) {
    std::vector<int64_t> result;
    for (const UnitGroup& g : groups) {
      const auto found = counts.find(g.members.front());
      result.push_back(found == counts.end() ? static_cast<int64_t>(g.free.size()) : found->second);
    }
    return result;
  }

  void accept(Trial trial) {
    result_.chosen = std::move(trial.chosen);
    result_.after = std::move(trial.cost);
  }

  UnitTable& table_;
  const BudgetOptions& options_;
  BudgetResult result_;
};

}  // namespace

int64_t aligned_step(int64_t units, int64_t align) {
  if (align > 0) return units >= align ? align : 1;
  return units >= 32 ? 16 : units >= 16 ? 8 : 1;
}

CostTotals cost_at(const UnitTable& table, const Graph& graph) {
  InferOptions options;
  for (const ValueId v : graph.inputs) {
    if (graph.initializer(v) || static_cast<size_t>(v) >= table.facts.size()) continue;
    const auto& dims = table.facts[static_cast<size_t>(v)].dims;
    if (!dims) continue;
    Dims& sizes = options.input_dims.emplace(graph.value(v).name, *dims).first->second;
    const Type& type = graph.value(v).type;  // a declared state's is cut
    for (size_t i = 0; type.has_rank() && i < sizes.size(); ++i) {
      if ((*type.dims)[i].known()) sizes[i] = (*type.dims)[i].value();
    }
  }
  return graph_cost(graph, infer(graph, options));
}

BudgetResult meet_budget(UnitTable& table, const BudgetOptions& options) {
  if (!(options.share > 0 && options.share <= 1)) throw Error(ErrorKind::usage, "a budget is a share in (0, 1]");
  BudgetResult result = Solver(table, options).run();
  if (result.met || options.align != 0) return result;
  BudgetOptions unaligned = options;
  unaligned.align = 1;
  const int trials = result.trials;
  result = Solver(table, unaligned).run();
  result.trials += trials;
  return result;
}

}  // namespace espalier
