#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/analysis/cost.h"
#include "lib/analysis/infer.h"
#include "lib/report/json.h"
#include "lib/graph/graph.h"

namespace espalier {

/// What a model weighs, for one sample: the first axis of its inputs is taken as 1 where the file leaves it open; other open
/// sizes are guessed as for generated inputs.
struct ModelFigures {
  int64_t params = 0;
  int64_t macs = 0;
  int64_t bytes = 0;                      ///< of the file, all weights inside
  std::map<std::string, Dims> dims;       ///< sizes of the inputs that `macs` is for; empty where none were found
  bool macs_known = true;                 ///< false: no sizes were found, so macs is 0
  std::vector<NodeId> opaque, unsized;    ///< nodes that are not in `macs`
};

ModelFigures figures_of(const Model& model);
/// {"params":, "macs":, "bytes":}; macs is null where it is not known.
Json to_json(const ModelFigures& figures);

/// Inference with the sizes of `figures.dims`.
FactTable facts_for(const Model& model, const ModelFigures& figures);

}  // namespace espalier
