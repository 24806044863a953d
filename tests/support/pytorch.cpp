#include "tests/support/pytorch.h"

#include <cmath>
#include <cstdio>
#include <sstream>

#include "tests/support/environment.h"

namespace espalier::testing {

PytorchNumbers run_pytorch(const std::string& python, const std::string& script) {
  PytorchNumbers result;
  const std::string command = "'" + python + "' '" + source_path("tests/support/" + script).string() + "'";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return result;
  std::string text;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  pclose(pipe);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, value, number;
    words >> name >> value;
    while (words >> number) result[name][value].push_back(std::stod(number));
  }
  return result;
}

Tensor pytorch_values(const Dims& dims, int stream) {
  Tensor result(DataType::float64, dims);
  const auto out = result.mutable_data<double>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::sin(0.37 * static_cast<double>(i + 1) * (1 + 0.1 * stream) + stream);
  return result;
}

}  // namespace espalier::testing
