#pragma once

#include <span>
#include <string>

#include "tools/arguments.h"

namespace espalier {

/// Checks a path that will be written, before any work is done: it must not be one of `inputs` (by name, by link), must not
/// be a folder, and its folder must exist. Throws Error(usage) and Error(io).
void check_output(const std::string& option, const std::string& path, std::span<const std::string> inputs);

/// "dir/net.onnx" -> "dir/net.best.onnx".
std::string best_name(const std::string& path);
/// The same for a result whose best must not replace the input: "net.best.onnx" -> "net.onnx" leaves "net.best.best.onnx".
std::string best_name(const std::string& path, const std::string& input);

}  // namespace espalier
