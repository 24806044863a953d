#include "lib/analysis/balance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <unordered_map>

#include "lib/base/random.h"

namespace espalier {
namespace {

constexpr int kAttempts = 8;
/// Weight of a unit's rank beside the integer distance of the counts: it only decides between equals.
constexpr double kRankWeight = 0.4;

struct Member {
  size_t row;
  double times;
};

class Search {
 public:
  Search(const std::vector<int32_t>& free, const std::vector<RowConstraint>& rows, int64_t count,
         const std::vector<double>& scores, uint64_t seed)
      : n_(free.size()), count_(count), random_(seed, RandomUse::shuffle), members_(n_), rank_(n_) {
    std::vector<size_t> order(n_);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    keep_.assign(n_, false);
    for (size_t i = 0; i < n_; ++i) {
      rank_[order[i]] = 1 - static_cast<double>(i) / static_cast<double>(n_);
      keep_[order[i]] = static_cast<int64_t>(i) < count;
    }
    read_rows(free, rows);
  }

  Balanced run(size_t constraints) {
    if (constraints == 0) return {keep_, {}};
    const std::vector<bool> start = keep_;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      keep_ = attempt == 0 ? start : keep_;
      aim(attempt, constraints);
      recount();
      if (flip_until_met()) return {keep_, {}};
    }
    std::set<size_t> unmet;
    for (size_t r = 0; r < owner_.size(); ++r) {
      if (now_[r] != aim_[r]) unmet.insert(owner_[r]);
    }
    return {keep_, {unmet.begin(), unmet.end()}};
  }

 private:
  void read_rows(const std::vector<int32_t>& free, const std::vector<RowConstraint>& rows) {
    std::unordered_map<int32_t, size_t> place;
    for (size_t i = 0; i < n_; ++i) place.emplace(free[i], i);
    for (size_t c = 0; c < rows.size(); ++c) {
      const IndexArray& ids = rows[c].ids;
      double most = 0;
      for (int64_t r = 0; r < ids.dim(0); ++r) {
        std::unordered_map<size_t, double> times;
        double fixed = 0;
        for (int64_t i = 0; i < ids.dim(1); ++i) {
          const auto found = place.find(ids[r * ids.dim(1) + i]);
          if (found == place.end()) ++fixed;
          else ++times[found->second];
        }
        for (const auto& [unit, t] : times) members_[unit].push_back({owner_.size(), t});
        owner_.push_back(c);
        fixed_.push_back(fixed);
        most = std::max(most, fixed);
      }
      most_fixed_.push_back(most);
      width_.push_back(static_cast<double>(ids.dim(1)));
    }
  }

  double uniform() { return random_.uniform(drawn_++); }

  /// One count per constraint; other roundings where the first ones contradict.
  void aim(int attempt, size_t constraints) {
    const double share = static_cast<double>(count_) / static_cast<double>(n_);
    std::vector<double> aims;
    for (size_t c = 0; c < constraints; ++c) {
      const double wanted = most_fixed_[c] + share * (width_[c] - most_fixed_[c]);
      const double rounded = std::floor(wanted + (attempt == 0 ? 0.5 : uniform()));
      aims.push_back(std::clamp(rounded, std::max(most_fixed_[c], 1.0), width_[c]));
    }
    aim_.clear();
    for (const size_t c : owner_) aim_.push_back(aims[c]);
  }

  void recount() {
    now_ = fixed_;
    for (size_t i = 0; i < n_; ++i) {
      if (!keep_[i]) continue;
      for (const Member& m : members_[i]) now_[m.row] += m.times;
    }
  }

  double cost_of_flip(size_t i) {
    const double sign = keep_[i] ? -1 : 1;
    double cost = -sign * kRankWeight * rank_[i] + 1e-3 * uniform();
    for (const Member& m : members_[i]) cost += 2 * (now_[m.row] - aim_[m.row]) * m.times * sign + m.times * m.times;
    return cost;
  }

  bool flip_until_met() {
    std::vector<size_t> tabu(n_, 0);
    for (size_t step = 0; step < 4 * n_ + 100; ++step) {
      if (now_ == aim_) return true;
      size_t best = n_;
      double least = std::numeric_limits<double>::infinity();
      for (size_t i = 0; i < n_; ++i) {
        if (tabu[i] > step || members_[i].empty()) continue;
        const double cost = cost_of_flip(i);
        if (cost < least) least = cost, best = i;
      }
      if (best == n_) continue;
      const double sign = keep_[best] ? -1 : 1;
      for (const Member& m : members_[best]) now_[m.row] += sign * m.times;
      keep_[best] = !keep_[best];
      tabu[best] = step + 1 + static_cast<size_t>(1 + 3 * uniform());
    }
    return now_ == aim_;
  }

  size_t n_;
  int64_t count_;
  Random random_;
  uint64_t drawn_ = 0;
  std::vector<std::vector<Member>> members_;  // by unit
  std::vector<double> rank_;                  // 1: best
  std::vector<bool> keep_;
  std::vector<size_t> owner_;                 // by row: its constraint
  std::vector<double> fixed_, now_, aim_;     // by row
  std::vector<double> most_fixed_, width_;    // by constraint
};

}  // namespace

Balanced balance(const std::vector<int32_t>& free, const std::vector<RowConstraint>& rows, int64_t count,
                 const std::vector<double>& scores, uint64_t seed) {
  return Search(free, rows, count, scores, seed).run(rows.size());
}

}  // namespace espalier
