#pragma once

#include <map>
#include <string>

#include "lib/graph/graph.h"
#include "lib/graph/host_value.h"

namespace espalier {

struct ReferenceOptions {
  bool all_values = false;  ///< return every value, not only the graph's outputs
  /// Float inputs, initialisers and attributes become double and everything is calculated in double: the oracle for
  /// gradients and certificates. Float outputs are double then.
  bool in_double = false;
};

/// Runs a graph node by node by its ops' `evaluate` and returns tensors by name. feeds: one a graph input without an
/// initialiser; others may be fed too, and captured values of a body must be. For folding and tests only: plain loops.
/// Throws Error(bad_data) for a missing or unknown feed, one of another element type or shape than declared, and for an
/// opaque op, naming it. Bodies of If, Loop, Scan and SequenceMap are run; a Loop that does not end is the caller's matter.
/// An output that is no tensor is left out.
std::map<std::string, Tensor> run_reference(const Graph& graph, const std::map<std::string, Tensor>& feeds,
                                            const ReferenceOptions& options = {});

/// The same for values of any kind: sequences and optionals too.
std::map<std::string, HostValue> run_reference_values(const Graph& graph, const std::map<std::string, HostValue>& feeds,
                                                      const ReferenceOptions& options = {});

}  // namespace espalier
