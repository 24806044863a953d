#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "passes/pass.h"
#include "passes/resources.h"

namespace espalier {

/// The key under which an exported model keeps the text of the pipeline that made it.
inline constexpr std::string_view kPipelineKey = "espalier.pipeline";

/// A sequence of passes, written as text: `simplify, prune{flops=0.5 criterion=taylor align=8}, fuse`. Options stand
/// in braces as name=value, separated by spaces; a value with spaces or braces is quoted ("a b", with \" and \\).
/// A value type.
class Pipeline {
 public:
  struct Step {
    const Pass* pass;
    PassOptions options;
    std::string str() const { return std::string(pass->name) + options.str(); }
  };

  Pipeline() = default;
  /// Throws Error(usage) with the column of the fault (from 1) and, for a mistyped name, the nearest one as hint.
  static Pipeline parse(std::string_view text);

  void add(const Pass& pass, PassOptions options) { steps_.push_back({&pass, std::move(options)}); }
  const std::vector<Step>& steps() const { return steps_; }
  /// The text that parses to this pipeline.
  std::string str() const;

  /// Runs the passes in turn on `model`. After each one the graph is verified, and the pass's contract: Error(verification)
  /// where it is broken. Counters, times and checks are in the reports, one a pass. The text is added to the model's
  /// metadata (kPipelineKey; after what an earlier run left there). On an exception the model is in an unspecified state.
  std::vector<PassReport> run(Model& model, const Resources& resources) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace espalier
