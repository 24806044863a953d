#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace espalier {

/// Results for programs, keys in the order in which they were set. Metrics are named plainly: `top1` (a fraction), `loss`,
/// `mse`, `macs`, `params`, `bytes`, `ms`. A number that is not finite becomes null.
using Json = nlohmann::ordered_json;

/// Two spaces a level, ended by '\n'; text that is not UTF-8 is repaired.
std::string json_text(const Json& json);

/// Writes to a file (whole or not at all), or to stdout where `path` is "-". Throws Error(io).
void write_json(const std::string& path, const Json& json);

}  // namespace espalier
