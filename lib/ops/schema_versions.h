#pragma once

#include <string_view>

namespace espalier {

/// The newest opset of the default domain whose operators are known here (ONNX 1.22).
inline constexpr int kNewestOpset = 27;

/// The version of the operator's form that `opset` uses: the newest of those that ONNX defined up to `opset`. An operator
/// that did not change since keeps its form, so that Add in opset 27 is Add-14. `opset` itself where the name is none of
/// ONNX's default domain, or `opset` is newer than kNewestOpset. Source: onnx.defs of ONNX 1.22.
int schema_version(std::string_view name, int opset);

}  // namespace espalier
