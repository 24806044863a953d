#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/host_value.h"

namespace espalier::testing {

/// One of ONNX's conformance cases: a folder with model.onnx and test_data_set_*/{input,output}_*.pb.
struct Case {
  std::string suite;  ///< node, pytorch-converted, pytorch-operator, simple
  std::string name;   ///< test_relu
  std::filesystem::path folder;
};

/// All cases below the data folder, by suite and name. Models without data (suite `real`) are left out.
std::vector<Case> find_cases(const std::filesystem::path& data);

/// What runs a case: outputs by name from feeds by name.
using Values = std::map<std::string, HostValue>;
using Runner = std::function<Values(const Model&, const Values&)>;

/// Runs all data sets of a case. Returns an empty string, or what went wrong first.
std::string run_case(const Case& which, const Model& model, const Runner& runner);

/// Where two tensors differ as ONNX's backend tests measure it: |actual - expected| <= 1e-7 + 1e-3 * |expected| for floats,
/// neighbouring numbers for bfloat16 (ONNX's data truncate, and its tests compare the 16 bits as numbers); equality for all
/// else. An empty string if they do not.
std::string difference(const Tensor& actual, const Tensor& expected);
/// The same for sequences and optionals, element by element.
std::string difference(const HostValue& actual, const HostValue& expected);

/// Names and reasons of a list such as denied.txt: `name  reason` a line, # comments.
std::map<std::string, std::string> read_denied(const std::filesystem::path& file);

}  // namespace espalier::testing
