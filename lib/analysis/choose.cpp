#include "lib/analysis/choose.h"

#include <algorithm>
#include <cmath>

#include "lib/analysis/balance.h"
#include "lib/base/random.h"

namespace espalier {
namespace {

constexpr int kAttempts = 40;

struct Picked {
  std::vector<bool> keep;
  std::vector<RowConstraint> unmet;
};

/// Worth by present root: units that became one are worth their sum.
std::vector<double> present_scores(const UnitTable& table, const ChooseOptions& options) {
  const auto n = static_cast<size_t>(table.units.size());
  std::vector<double> result(n, 0.0);
  if (options.scores.empty()) {
    const Random random(options.seed, RandomUse::shuffle, 1);
    for (size_t i = 0; i < n; ++i) result[i] = random.uniform(i);
    return result;
  }
  check(options.scores.size() == n, "one score an id");
  for (size_t i = 0; i < n; ++i) result[static_cast<size_t>(table.units.find(static_cast<int32_t>(i)))] += options.scores[i];
  return result;
}

/// Nothing may vanish: every row of a bundle keeps a position.
void keep_axes(const UnitGroup& group, const std::vector<double>& scores, std::vector<bool>& keep) {
  const auto kept = [&](int32_t unit) { return keep[static_cast<size_t>(unit)]; };
  for (const IndexArray& rows : group.bundles) {
    for (int64_t r = 0; r < rows.dim(0); ++r) {
      const auto row = rows.values().subspan(static_cast<size_t>(r * rows.dim(1)), static_cast<size_t>(rows.dim(1)));
      if (std::any_of(row.begin(), row.end(), kept)) continue;
      if (!group.rows.empty()) {
        for (const int32_t unit : group.free) keep[static_cast<size_t>(unit)] = true;
        return;
      }
      const int32_t best = *std::max_element(row.begin(), row.end(), [&](int32_t a, int32_t b) {
        return scores[static_cast<size_t>(a)] < scores[static_cast<size_t>(b)];
      });
      keep[static_cast<size_t>(best)] = true;
    }
  }
}

Picked pick(const UnitTable& table, const ChooseOptions& options) {
  const std::vector<UnitGroup> groups = unit_groups(table);
  const std::vector<int64_t> counts = options.counts(groups);
  check(counts.size() == groups.size(), "one count a group");
  const std::vector<double> scores = present_scores(table, options);
  Picked result{std::vector<bool>(static_cast<size_t>(table.units.size()), true), {}};
  for (size_t g = 0; g < groups.size(); ++g) {
    const UnitGroup& group = groups[g];
    if (group.free.empty()) continue;
    const auto free = static_cast<int64_t>(group.free.size());
    if (counts[g] >= free) continue;
    std::vector<double> worth;
    for (const int32_t unit : group.free) worth.push_back(scores[static_cast<size_t>(unit)]);
    const Balanced chosen = balance(group.free, group.rows, std::max<int64_t>(counts[g], 1), worth, options.seed + g);
    for (const size_t i : chosen.unmet) result.unmet.push_back(group.rows[i]);
    if (!chosen.unmet.empty()) continue;
    for (size_t i = 0; i < group.free.size(); ++i) result.keep[static_cast<size_t>(group.free[i])] = chosen.keep[i];
    keep_axes(group, scores, result.keep);
  }
  return result;
}

/// The last resort before freezing: rows keep the same positions, which can always be met.
void tie_rows(UnitTable& table, const std::vector<RowConstraint>& unmet, std::vector<std::string>& notes) {
  for (const RowConstraint& c : unmet) {
    table.units.unite(c.ids.front(0).reshaped({1, c.ids.dim(1)}), c.ids);
    notes.push_back("rows tied: " + c.words);
  }
  table.finish();
}

}  // namespace

KeepCounts keep_share(double share) {
  return [share](const std::vector<UnitGroup>& groups) {
    std::vector<int64_t> counts;
    for (const UnitGroup& group : groups) {
      counts.push_back(std::max<int64_t>(1, std::llround(share * static_cast<double>(group.free.size()))));
    }
    return counts;
  };
}

Chosen choose_units(UnitTable& table, const ChooseOptions& options) {
  std::vector<std::string> notes;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Picked picked = pick(table, options);
    if (!picked.unmet.empty()) {
      tie_rows(table, picked.unmet, notes);
      continue;
    }
    try {
      CutGraph cut = cut_units(table, picked.keep, options.rules);
      return {std::move(picked.keep), std::move(cut), std::move(notes)};
    } catch (const Inexpressible& e) {
      if (e.ids().size() == 0) throw;
      notes.push_back("frozen: " + e.reason());
      table.units.freeze(e.ids(), "surgeon: " + e.reason());
      table.finish();
    }
  }
  throw Error(ErrorKind::internal, "no choice of units after " + std::to_string(kAttempts) + " attempts; last: " + notes.back());
}

Chosen cut_chosen(UnitTable& table, const std::vector<bool>& keep) {
  const auto kept = [&](int32_t unit) { return keep[static_cast<size_t>(unit)]; };
  for (const UnitGroup& group : unit_groups(table)) {
    for (const int32_t unit : group.members) {
      if (!kept(unit) && table.units.frozen(unit)) {
        throw Error(ErrorKind::bad_data, "group '" + group.name + "': a unit that is frozen cannot go: " + table.units.reason(unit));
      }
    }
    for (const IndexArray& rows : group.bundles) {
      for (int64_t r = 0; r < rows.dim(0); ++r) {
        const auto row = rows.values().subspan(static_cast<size_t>(r * rows.dim(1)), static_cast<size_t>(rows.dim(1)));
        if (std::any_of(row.begin(), row.end(), kept)) continue;
        throw Error(ErrorKind::bad_data, "group '" + group.name + "': nothing of an axis would be left").hint("keep at least one unit");
      }
    }
    for (const RowConstraint& c : group.rows) {
      int64_t first = -1;
      for (int64_t r = 0; r < c.ids.dim(0); ++r) {
        int64_t count = 0;
        for (int64_t i = 0; i < c.ids.dim(1); ++i) count += kept(c.ids[r * c.ids.dim(1) + i]) ? 1 : 0;
        if (first >= 0 && count != first) {
          throw Error(ErrorKind::bad_data, "group '" + group.name + "': " + c.words + " must keep equally many, not " +
                                               std::to_string(first) + " and " + std::to_string(count));
        }
        first = count;
      }
    }
  }
  try {
    return {keep, cut_units(table, keep), {}};
  } catch (const Inexpressible& e) {
    throw Error(ErrorKind::bad_data, "this choice cannot be written in ONNX: " + e.reason());
  }
}

}  // namespace espalier
