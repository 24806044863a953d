#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/tensor/tensor.h"

namespace espalier::testing {

/// By case and name, what a script prints as lines "CASE NAME NUMBER ...".
using PytorchNumbers = std::map<std::string, std::map<std::string, std::vector<double>>>;

/// Runs a script of tests/support ("pytorch_gradients.py") with a Python that has torch; empty where it cannot be started.
PytorchNumbers run_pytorch(const std::string& python, const std::string& script);

/// The inputs that both sides calculate with, float64, each stream other ones: `values` of the scripts.
Tensor pytorch_values(const Dims& dims, int stream);

}  // namespace espalier::testing
