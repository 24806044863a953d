#pragma once

#include <string>
#include <vector>

#include "lib/analysis/unit_groups.h"

namespace espalier {

/// Which units stay: what `prune` writes with plan-out and reads with plan. JSON, made to be read and edited:
///
///     {"format": "espalier prune plan 1", "model": "9f3c...", "made_by": "prune{flops=0.5}",
///      "groups": [{"name": "conv1", "kept": 24, "of": 64,
///                  "layers": [{"node": "conv1", "channels": 64, "kept": [0, 1, 5], "scores": [0.8, 1.2]}]}]}
///
/// A layer lists the units that are first seen at its node, by output channel; `scores` holds one number for each of them in
/// the order of `units`. Units that run through several layers stand at the first one only. Frozen units always stay.
struct PrunePlan {
  struct Layer {
    std::string node;
    int64_t channels = 0;          ///< ids born at the node
    std::vector<int64_t> units;    ///< free units listed here, ascending
    std::vector<int64_t> kept;     ///< those of them that stay
    std::vector<double> scores;    ///< worth of each of `units`; may be empty
  };
  struct Group {
    std::string name;
    int64_t kept = 0, of = 0;      ///< units, frozen ones included; for the reader
    std::vector<Layer> layers;
  };

  std::string model;    ///< structure_hash of the graph that the plan is for
  std::string made_by;  ///< pipeline text, for the reader
  std::vector<Group> groups;
};

/// Hash of nodes, names and dims, not of weights: a retrained model has the same one.
std::string structure_hash(const Graph& graph);

/// keep: by id of `table`, as ids were assigned. scores: by root; may be empty.
PrunePlan make_plan(const UnitTable& table, const std::vector<bool>& keep, const std::vector<double>& scores, std::string made_by);

/// What stays, by id. Groups and layers that the plan does not name keep all. Throws Error(bad_data) for a plan of another
/// model, an unknown node, or a channel that is no unit of its own there.
std::vector<bool> apply_plan(const UnitTable& table, const PrunePlan& plan);

std::string print_plan(const PrunePlan& plan);
/// Throws Error(bad_data) with the place of the fault.
PrunePlan parse_plan(const std::string& text);

}  // namespace espalier
