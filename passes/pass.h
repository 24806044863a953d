#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/graph/graph.h"
#include "passes/options.h"

namespace espalier {

/// What a pass promises about the model's outputs; the pipeline checks it (DESIGN.md section 1).
enum class Contract {
  exact,    ///< the same bits
  equal,    ///< the same outputs within 1e-4 of the output's scale
  masked,   ///< the certificate of pruning (section 7), which the pass hands over by PassContext::checked
  trained,  ///< finite, and no worse than the floor given; handed over by PassContext::checked
};

/// "exact", "equal", "masked" or "trained".
std::string_view name(Contract contract);

/// Tensors by the name of a graph input or output.
using Feeds = std::map<std::string, Tensor>;

/// How one run of a pass was checked.
struct Verification {
  enum class State {
    passed,      ///< compared, and within the contract
    unchanged,   ///< nothing to compare: the pass left the graph as it was
    unverified,  ///< could not be compared, in part or at all; `detail` says why
    off,         ///< not asked for
  };
  State state = State::off;
  double worst = 0;    ///< largest error over the outputs, as a share of the output's scale
  std::string detail;  ///< "3 outputs, 2 runs", or why it could not be checked
};

/// A number that a pass counts while it runs ("folded": nodes replaced by constants).
struct PassCounter {
  std::string_view name;  ///< kebab-case
  std::string_view help;
};

/// A target that is out of reach. The model is then the best that the pass could make of it.
struct MissedTarget {
  std::string message;  ///< what was asked for, and what is reachable
  std::string hint;
};

/// What one run of a pass did. Filled by the pass (counters, figures, notes) and by the pipeline (the rest).
struct PassReport {
  std::string text;  ///< the pass and its options as pipeline text
  double seconds = 0;
  size_t nodes_before = 0, nodes_after = 0;
  bool changed = false;
  std::map<std::string, int64_t, std::less<>> counters;  ///< every declared counter, zeros included
  std::map<std::string, double, std::less<>> figures;    ///< plainly named: "top1", "loss", "macs"
  std::vector<std::string> notes;                        ///< lines for people, in order
  Verification verification;
  std::optional<MissedTarget> missed;
};

/// Throws Error(target) for the first pass that missed its target.
void throw_if_missed(std::span<const PassReport> reports);

struct Pass;
struct Resources;

/// What a running pass sees. It changes the model in place; the pipeline looks at the result.
class PassContext {
 public:
  PassContext(const Pass& pass, const PassOptions& options, const Resources& resources, Model& model, PassReport& report)
      : pass_(pass), options_(options), resources_(resources), model_(model), report_(report) {}

  Model& model() { return model_; }
  Graph& graph() { return model_.graph; }
  const PassOptions& options() const { return options_; }
  const Resources& resources() const { return resources_; }  ///< resources.h: data, teacher, seed, stop

  /// Adds to a declared counter; Error(internal) for another name.
  void count(std::string_view counter, int64_t n = 1);
  void figure(std::string_view figure, double value);
  void note(std::string line);
  /// The evidence of a `masked` or `trained` pass. A pass of these contracts that hands over none is Error(internal).
  void checked(Verification verification);
  /// Says that the target is out of reach and the model the best there is. The pipeline goes on with it; whoever ran the
  /// pipeline throws (throw_if_missed) when the result is safe.
  void missed(std::string message, std::string hint);

  /// Runs another pass on the same model, with this pass's options where they have the same name; its counters are added to
  /// those of this pass that have the same name, its notes are kept, each once. Returns whether it counted anything.
  bool run(const Pass& part);

 private:
  const Pass& pass_;
  const PassOptions& options_;
  const Resources& resources_;
  Model& model_;
  PassReport& report_;
};

/// A pass: one constant object a file, named in the registry's sorted list; no state between runs.
struct Pass {
  std::string_view name;     ///< kebab-case
  std::string_view summary;  ///< one line
  Contract contract = Contract::equal;
  std::span<const PassOption> options = {};
  std::span<const PassCounter> counters = {};
  void (*run)(PassContext&) = nullptr;
};

/// All passes, sorted by name.
std::span<const Pass* const> all_passes();
/// The pass of that name, or nullptr.
const Pass* find_pass(std::string_view name);

}  // namespace espalier
