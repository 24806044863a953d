#pragma once

#include <onnx/onnx_pb.h>

#include <vector>

namespace espalier::onnx_io {

/// Indices of the graph's nodes in an order in which they can run, bodies' outer names counted: the file's own where that
/// works, otherwise the one nearest to it. Throws Error(bad_data) for a cycle, for a name that two nodes make.
std::vector<int> execution_order(const onnx::GraphProto& graph);

}  // namespace espalier::onnx_io
