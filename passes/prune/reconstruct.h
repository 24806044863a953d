#pragma once

#include <functional>
#include <map>
#include <string>

#include "lib/analysis/surgeon.h"
#include "lib/data/batcher.h"
#include "lib/data/dataset.h"
#include "lib/data/preprocess.h"

namespace espalier {

struct ReconstructOptions {
  uint64_t seed = 0;
  Augmentation augmentation;   ///< of the samples, each of which is seen in one view
  std::function<bool()> stop;  ///< asked between batches; true throws Error(interrupted). May be empty.
};

/// What reconstruct() did.
struct Reconstructed {
  int64_t sinks = 0;    ///< weights that read a class of which something went
  int64_t written = 0;  ///< those of them that were calculated anew
  /// Mean over the written ones of the share of their output's variance by which they miss the original's, on the
  /// calibration rows: as cut, and as written.
  double error_before = 0, error_after = 0;
  std::map<std::string, int64_t> skipped;  ///< the others, by reason
};

/// Recovery in closed form, without labels: every weight that reads a cut class is calculated anew, so that the node's
/// output is the original model's at the coordinates that are left, in the sense of least squares over calibration data:
///
///     min over W, b of  sum of |(W x + b) - y|^2 + ridge |W - W_cut|^2
///
/// x is what the cut graph, the nodes before already written, gives the node; y what the original's same node puts out. In
/// the order of execution, so that later nodes make up for what earlier ones could not. b is the node's own bias, or the
/// constant of the Add, or the mean of the BatchNormalization, that alone reads the node. Conv with groups, Gemm and
/// MatMul by a matrix; all others, shared weights and what does not run are skipped and counted. A weight where the held-out rows
/// gain nothing stays as cut.
///
/// Costs two runs of the net on at most 16384 samples a weight, fewer for large nets, and memory for a few thousand rows.
/// Deterministic; does not depend on the number of threads but by rounding of the runs.
/// keep: by root of `table`. Throws Error(bad_data) where data do not fit the model.
/// Source: Luo et al. 2017 (ThiNet, section 3.2), He et al. 2017 (channel pruning, equation 2 with the mask given).
Reconstructed reconstruct(const UnitTable& table, const std::vector<bool>& keep, CutGraph& cut, const Dataset& data,
                          const Preprocessing& preprocessing, const ReconstructOptions& options = {});

}  // namespace espalier
