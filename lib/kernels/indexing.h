#pragma once

#include <memory>
#include <string>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Runs of neighbouring elements of a data tensor, named by an index tensor that is read when the step runs.
struct Indexing {
  enum class Kind : uint8_t {
    axis,      ///< Gather: each index names a position of `axis`, whatever stands on the other axes
    elements,  ///< GatherElements: an index for each element, for its position along `axis`
    tuples,    ///< GatherND: the last axis of the indices holds positions of as many axes after `batch_dims`
  };
  Kind kind = Kind::axis;
  Dims data, indices;
  int64_t axis = 0;        ///< non-negative
  int64_t batch_dims = 0;
  bool int64_indices = true;  ///< int32 else
  std::string where;       ///< the node, for messages: "node 'embed' (Gather)"
};

/// to = the named runs one after the other. Elements of 1, 2, 4, 8 or 16 bytes. Arguments: data, indices, to. run() throws
/// Error(bad_data) naming `where` for an index out of [-size, size).
std::unique_ptr<Kernel> gather_runs(Indexing indexing, size_t width);

/// to = data with the named runs replaced by the updates, one after the other. Arguments: data, indices, updates, to, which
/// may be the memory of data. Errors as above.
std::unique_ptr<Kernel> scatter_runs(Indexing indexing, size_t width);

/// How an update meets what stands where it goes: NaN stays, and comes, by each of these.
enum class Combine : uint8_t { replace, add, mul, max, min };

/// to = data (zeros with `from_zero`) combined with the float updates, one after the other; not `replace`. Arguments: data
/// (not with `from_zero`), indices, updates, to, which may be the memory of data. Errors as above.
std::unique_ptr<Kernel> scatter_combined(Indexing indexing, Combine combine, bool from_zero);

}  // namespace espalier
